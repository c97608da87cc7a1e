/**
 * The newest part of each lane's log, decoded, for readers that keep up: what one of them has still
 * to take, within a bound. A reader that falls behind it reads from the backplane.
 */
import { laneCount } from '../../base/limits.ts';
import type { LogBatch } from '../backplane/backplane.ts';

interface LaneTail {
  batches: LogBatch[];
  /** How many at the front of `batches` were dropped; cut off now and then. */
  start: number;
  bytes: number;
}

/** Dropped ones at the front that stay until they are half of all. They are what lives on for no use:
 * objects that outlive a young collection were measured to cost more than all else about them. */
const droppedMax = 8;

export class LogTail {
  readonly #bytesMax: number;
  readonly #lanes: LaneTail[] = Array.from({ length: laneCount }, emptyTail);

  constructor(options: { bytesMax: number }) {
    this.#bytesMax = options.bytesMax;
  }

  clear(): void {
    for (const [lane] of this.#lanes.entries()) this.#lanes[lane] = emptyTail();
  }

  /** In log order per lane. The newest stays, whatever its size. */
  push(batch: LogBatch): void {
    const tail = this.#lanes[batch.lane];
    if (tail === undefined) return;
    tail.batches.push(batch);
    tail.bytes += batch.bytes;
    while (tail.bytes > this.#bytesMax && tail.start < tail.batches.length - 1) drop(tail);
    cut(tail);
  }

  /** Nobody will ask for what is up to this position any more. */
  release(lane: number, through: number): void {
    const tail = this.#lanes[lane];
    if (tail === undefined) return;
    for (;;) {
      const oldest = tail.batches[tail.start];
      if (oldest === undefined || oldest.through > through) break;
      drop(tail);
    }
    cut(tail);
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

function emptyTail(): LaneTail {
  return { batches: [], start: 0, bytes: 0 };
}

function drop(tail: LaneTail): void {
  tail.bytes -= (tail.batches[tail.start] as LogBatch).bytes;
  tail.start++;
}

function cut(tail: LaneTail): void {
  if (tail.start <= droppedMax || tail.start * 2 <= tail.batches.length) return;
  tail.batches = tail.batches.slice(tail.start);
  tail.start = 0;
}
