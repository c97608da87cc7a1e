/**
 * Which pairs of neighbouring letters a text has, in 32 bits: whatever has a part in it has the
 * part's pairs. So most texts that do not match are told without a look at their letters. Capitals do
 * not count; of texts beyond ASCII nothing is known.
 */

const all = -1;

/** All that a text has. */
export function pairsOf(text: string): number {
  let pairs = 0;
  let before = -1;
  for (let i = 0; i < text.length; i++) {
    const code = smallOf(text.charCodeAt(i));
    if (code > 127) return all;
    if (before >= 0) pairs |= bitOf(before, code);
    before = code;
  }
  return pairs;
}

/** What every text has that has all of these parts; 0 when nothing is known. */
export function pairsWanted(parts: readonly string[]): number {
  let pairs = 0;
  for (const part of parts) {
    let before = 128;
    for (let i = 0; i < part.length; i++) {
      const code = smallOf(part.charCodeAt(i));
      if (before < 128 && code < 128) pairs |= bitOf(before, code);
      before = code;
    }
  }
  return pairs;
}

function smallOf(code: number): number {
  return code >= 65 && code <= 90 ? code + 32 : code;
}

function bitOf(first: number, second: number): number {
  return 1 << (Math.imul(first * 128 + second, 0x9e3779b1) >>> 27);
}
