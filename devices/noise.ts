/**
 * Numbers that look random and are a pure function of what they are asked for, so that a simulated
 * device tells the same story each time it is told.
 */

/** 0 up to 1, the same for the same three numbers (the mixing steps of MurmurHash3). */
export function noise(seed: number, step: number, salt = 0): number {
  let hash = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(step + 0x7f4a7c15, 0xc2b2ae35);
  hash ^= Math.imul(salt + 1, 0x27d4eb2f);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  hash ^= hash >>> 16;
  return (hash >>> 0) / 0x1_0000_0000;
}

/** A value between two bounds that belongs to the seed and does not change with time. */
export function trait(seed: number, salt: number, range: { from: number; to: number }): number {
  return range.from + noise(seed, 0, salt + 1000) * (range.to - range.from);
}

export function rounded(value: number, decimals: number): number {
  const factor = 10 ** decimals;
  return Math.round(value * factor) / factor;
}
