/**
 * Sets of topic slots, a bit each, by which a reader passes over batches that have nothing for it
 * without decoding them. A set may say too much, never too little.
 */
import { isCanary } from '../../base/canary.ts';
import type { Publication } from '../../base/publication.ts';
import { slotOf } from '../../base/topic.ts';

export const allSlots = (1n << 64n) - 1n;

const bits: readonly bigint[] = Array.from({ length: 64 }, (_, slot) => 1n << BigInt(slot));

/** Canaries go back to their edge whatever it wants: a batch with one is for everybody. */
export function slotsOf(publications: readonly Publication[]): bigint {
  let slots = 0n;
  let topic = '';
  for (const publication of publications) {
    // Runs of one topic share one string: it is looked at once.
    if (publication.topic === topic) continue;
    topic = publication.topic;
    if (isCanary(topic)) return allSlots;
    slots |= bits[slotOf(topic)] as bigint;
  }
  return slots;
}

/** A slot stands for the first two levels: a wildcard there may be any. */
export function slotsOfFilter(filter: string): bigint {
  const [first = '', second] = filter.split('/', 2);
  const isOpen = first === '#' || first === '+' || second === '#' || second === '+';
  return isOpen ? allSlots : (bits[slotOf(filter)] as bigint);
}
