/**
 * The newest part of each lane's log, decoded, for readers that keep up. Bounded by bytes per lane:
 * a reader that falls behind it reads from the backplane.
 */
import { laneCount } from '../../base/limits.ts';
import { publicationBytes } from '../../base/publication.ts';
import type { LogBatch } from '../backplane/backplane.ts';

interface LaneTail {
  batches: LogBatch[];
  /** How many at the front of `batches` were dropped; cut off now and then. */
  start: number;
  bytes: number;
}

export class LogTail {
  readonly #bytesMax: number;
  readonly #lanes: LaneTail[] = Array.from({ length: laneCount }, () => ({
    batches: [],
    start: 0,
    bytes: 0,
  }));

  constructor(options: { bytesMax: number }) {
    this.#bytesMax = options.bytesMax;
  }

  /** In log order per lane. The newest stays, whatever its size. */
  push(batch: LogBatch): void {
    const tail = this.#lanes[batch.lane];
    if (tail === undefined) return;
    tail.batches.push(batch);
    tail.bytes += bytesOf(batch);
    while (tail.bytes > this.#bytesMax && tail.start < tail.batches.length - 1) {
      tail.bytes -= bytesOf(tail.batches[tail.start] as LogBatch);
      tail.start++;
    }
    if (tail.start > 256 && tail.start * 2 > tail.batches.length) {
      tail.batches = tail.batches.slice(tail.start);
      tail.start = 0;
    }
  }

  /** The batch that holds a position, or undefined when the tail does not reach it. */
  find(lane: number, position: number): LogBatch | undefined {
    const tail = this.#lanes[lane];
    if (tail === undefined) return undefined;
    let low = tail.start;
    let high = tail.batches.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((tail.batches[middle] as LogBatch).through < position) low = middle + 1;
      else high = middle;
    }
    const found = tail.batches[low];
    return found !== undefined && found.firstPosition <= position ? found : undefined;
  }
}

function bytesOf(batch: LogBatch): number {
  let bytes = 0;
  for (const publication of batch.publications) bytes += publicationBytes(publication);
  return bytes;
}
