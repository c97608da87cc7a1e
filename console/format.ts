/** Numbers, sizes and times as an operator reads them. */

const whole = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const oneDecimal = new Intl.NumberFormat('en-US', { maximumFractionDigits: 1 });
const clockTime = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const fullTime = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });

export function count(value: number): string {
  return whole.format(value);
}

/** Small rates keep a decimal, so that a quiet fleet does not look dead. */
export function rate(value: number): string {
  return value > 0 && value < 100 ? oneDecimal.format(value) : whole.format(value);
}

const byteUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  while (size >= 1024 && unit < byteUnits.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${oneDecimal.format(size)} ${byteUnits[unit]}`;
}

export function roundTrip(us: number): string {
  if (us === 0) return '–';
  return us < 100_000 ? `${oneDecimal.format(us / 1000)} ms` : `${count(us / 1000)} ms`;
}

/** The two largest units of a span: "3 d 4 h", "5 m 10 s". */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} m`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** How long something waits: tenths of a second matter while it is short. */
export function age(ms: number): string {
  if (ms <= 0) return '–';
  if (ms < 10_000) return `${oneDecimal.format(ms / 1000)} s`;
  return span(ms);
}

export function timeOfDay(ms: number): string {
  return clockTime.format(ms);
}

export function dateTime(ms: number): string {
  return ms === 0 ? 'never' : fullTime.format(ms);
}
