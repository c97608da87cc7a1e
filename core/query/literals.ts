/** Values of filters as numbers: plain ones, spans of time, and moments, also relative to now. */

const unitMs = new Map([
  ['us', 0.001],
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/** Null for what is no number. */
export function numberOf(text: string): number | null {
  return /^-?\d+(\.\d+)?(e\d+)?$/i.test(text) ? Number(text) : null;
}

/** "90s", "1.5h", "1h30m", "2d" in milliseconds; null for what is no span. */
export function spanMs(text: string): number | null {
  if (!/^(\d+(\.\d+)?(us|ms|s|m|h|d))+$/.test(text)) return null;
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(us|ms|s|m|h|d)/g)) {
    sum += Number(amount) * (unitMs.get(unit as string) ?? 0);
  }
  return sum;
}

/**
 * Milliseconds since the epoch: RFC 3339 (without a zone it is UTC; a date is its first moment),
 * "now", "now-5m", or the milliseconds themselves. Null for what is none of these.
 */
export function momentMs(text: string, now: number): number | null {
  const relative = /^now(?:([+-])(.+))?$/.exec(text);
  if (relative !== null) {
    if (relative[1] === undefined) return now;
    const span = spanMs(relative[2] as string);
    if (span === null) return null;
    return relative[1] === '-' ? now - span : now + span;
  }
  if (/^\d{9,16}$/.test(text)) return Number(text);
  if (/^-?0$/.test(text)) return 0;
  const form = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/i.exec(
    text,
  );
  if (form === null) return null;
  const isZoned = form[1] !== undefined || !/[T ]/i.test(text);
  const parsed = Date.parse((isZoned ? text : `${text}Z`).replace(' ', 'T').toUpperCase());
  return Number.isNaN(parsed) ? null : parsed;
}
