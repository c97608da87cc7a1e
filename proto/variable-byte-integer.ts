/**
 * Variable byte integers: seven bits a byte, the high bit for "more follows", four bytes at most.
 * Source: MQTT 5 section 1.5.5.
 */

export const variableMax = 268_435_455;

/**
 * The integer that begins at `at`, or -1 when it is cut off before `end`, longer than four bytes or
 * longer than it need be [MQTT-1.5.5-1]. So its length is always `variableBytes` of its value.
 */
export function readVariable(bytes: Buffer, at: number, end: number): number {
  let value = 0;
  for (let shift = 0; shift <= 21; shift += 7) {
    const place = at + shift / 7;
    if (place >= end) return -1;
    const byte = bytes[place] as number;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return byte === 0 && shift > 0 ? -1 : value;
  }
  return -1;
}

/** How many bytes the value takes. */
export function variableBytes(value: number): number {
  if (value < 128) return 1;
  if (value < 16_384) return 2;
  return value < 2_097_152 ? 3 : 4;
}

/** Writes it at `at` and returns the place behind it. */
export function writeVariable(bytes: Buffer, at: number, value: number): number {
  let place = at;
  let rest = value;
  do {
    const digit = rest & 0x7f;
    rest >>>= 7;
    bytes[place++] = rest > 0 ? digit | 0x80 : digit;
  } while (rest > 0);
  return place;
}
