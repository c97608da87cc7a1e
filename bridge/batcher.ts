/**
 * Publications that wait for their lane, handed out in batches. There is no lingering: whoever can
 * send takes what is there, so an idle lane sends at once and a busy one gathers.
 */
import { BoundedQueue } from '../base/bounded-queue.ts';
import {
  batchBytesTarget,
  batchMessagesMax,
  grownBatchBytesTarget,
  grownBatchMessagesMax,
} from '../base/limits.ts';
import { publicationBytes } from '../base/publication.ts';
import type { Sequenced } from '../proto/wire.ts';

/** Where a batch closes; its last publication may overstep the bytes. */
export interface BatchBounds {
  readonly countMax: number;
  readonly bytesTarget: number;
}

export const plainBatch: BatchBounds = {
  countMax: batchMessagesMax,
  bytesTarget: batchBytesTarget,
};

export const grownBatch: BatchBounds = {
  countMax: grownBatchMessagesMax,
  bytesTarget: grownBatchBytesTarget,
};

export class Batcher {
  readonly #queue: BoundedQueue<Sequenced>;
  readonly #bounds: { readonly countMax: number; readonly bytesMax: number };

  constructor(bounds: { readonly countMax: number; readonly bytesMax: number }) {
    this.#bounds = bounds;
    this.#queue = new BoundedQueue({
      ...bounds,
      bytesOf: (item: Sequenced) => publicationBytes(item.publication),
    });
  }

  get length(): number {
    return this.#queue.length;
  }

  /** Worth filling up again, for one who reads ahead. */
  get isHalfEmpty(): boolean {
    const { countMax, bytesMax } = this.#bounds;
    return this.#queue.length * 2 <= countMax && this.#queue.bytes * 2 <= bytesMax;
  }

  /** More waits than a plain batch takes, because the lane was short of credit or is behind. */
  get isBacklogged(): boolean {
    return this.#queue.length > batchMessagesMax || this.#queue.bytes > batchBytesTarget;
  }

  /** False when full; an empty batcher takes any one item. */
  offer(item: Sequenced): boolean {
    return this.#queue.offer(item);
  }

  /** The next batch, in order; empty when nothing waits. The last item may overstep the bytes. */
  take(bounds: BatchBounds = plainBatch): Sequenced[] {
    const items: Sequenced[] = [];
    let bytes = 0;
    while (items.length < bounds.countMax && bytes < bounds.bytesTarget) {
      const item = this.#queue.take();
      if (item === undefined) break;
      items.push(item);
      bytes += publicationBytes(item.publication);
    }
    return items;
  }

  clear(): void {
    this.#queue.clear();
  }
}
