/**
 * The topics that one client has published to lately, found by their bytes: most devices publish
 * few, and neither decoding nor checking a name again is worth its time on the message path.
 * Only names that passed every check are in it.
 */
import type { Grants } from '../base/rights/grants.ts';

export interface KnownTopic {
  readonly name: string;
  /** As in the packet: length in two bytes, then UTF-8. */
  readonly encoded: Buffer;
  /** The highest QoS at which it may be published, and by which grants: after them nothing counts. */
  readonly qosMax: number;
  readonly grants: Grants;
}

/** Slots by a hash of the bytes; a newer topic takes the place of an older one. */
const slots = 32;

export class TopicCache {
  #last: KnownTopic | null = null;
  #table: (KnownTopic | undefined)[] | null = null;

  /** The topic whose length field and bytes are `buffer[start, end)`. */
  find(buffer: Buffer, start: number, end: number): KnownTopic | null {
    const last = this.#last;
    if (last !== null && isSame(last.encoded, buffer, start, end)) return last;
    if (this.#table === null) return null;
    const found = this.#table[slotOf(buffer, start, end)];
    if (found === undefined || !isSame(found.encoded, buffer, start, end)) return null;
    this.#last = found;
    return found;
  }

  add(
    { name, qosMax, grants }: Omit<KnownTopic, 'encoded'>,
    buffer: Buffer,
    start: number,
    end: number,
  ): KnownTopic {
    const encoded = Buffer.from(buffer.subarray(start, end));
    const known = { name, encoded, qosMax, grants };
    // Devices with one topic, which are most, have no table.
    if (this.#last !== null) {
      this.#table ??= new Array(slots);
      this.#table[slotOf(buffer, start, end)] = known;
    }
    this.#last = known;
    return known;
  }
}

/** The end of a name tells siblings apart. */
function slotOf(buffer: Buffer, start: number, end: number): number {
  let hash = end - start;
  for (let at = Math.max(start, end - 8); at < end; at++) {
    hash = Math.imul(hash, 31) + (buffer[at] as number);
  }
  return (hash ^ (hash >>> 8)) & (slots - 1);
}

function isSame(encoded: Buffer, buffer: Buffer, start: number, end: number): boolean {
  if (encoded.length !== end - start) return false;
  for (let i = encoded.length - 1; i >= 0; i--) {
    if (encoded[i] !== buffer[start + i]) return false;
  }
  return true;
}
