/**
 * Deliveries that wait for room in the window, bounded by count and bytes. A reference counts for
 * little: its message is in the log, and is read back when its turn comes.
 */
import { BoundedQueue } from '../base/bounded-queue.ts';
import type { Limits } from '../base/config.ts';
import { publicationBytes } from '../base/publication.ts';
import {
  type Delivery,
  type DeliveryOwner,
  detached,
  type OutboxParts,
  withPublication,
} from './delivery.ts';

/** Bytes of a reference without payload, for the queue's bound. */
const referenceBytes = 32;

function bytesOf({ publication }: Delivery): number {
  return publication === null ? referenceBytes : publicationBytes(publication);
}

export class DeliveryQueue {
  readonly #read: OutboxParts['read'];
  readonly #clock: OutboxParts['clock'];
  /** When the queue of references began. */
  #since = 0;
  readonly #queue: BoundedQueue<Delivery>;

  constructor(limits: Limits, { read, clock }: Pick<OutboxParts, 'read' | 'clock'>) {
    this.#read = read;
    this.#clock = clock;
    this.#queue = new BoundedQueue({
      countMax: limits.queue_messages,
      bytesMax: limits.queue_bytes,
      bytesOf,
    });
  }

  get length(): number {
    return this.#queue.length;
  }

  /** When the oldest was accepted, or, as a reference, began to wait; 0 for none. */
  get oldestAt(): number {
    const oldest = this.peek();
    return oldest === undefined ? 0 : (oldest.publication?.acceptedAt ?? this.#since);
  }

  get bytes(): number {
    return this.#queue.bytes;
  }

  /** False when it does not fit. */
  offer(delivery: Delivery): boolean {
    if (delivery.publication === null && this.length === 0) this.#since = this.#clock.now();
    return this.#queue.offer(delivery);
  }

  peek(): Delivery | undefined {
    return this.#queue.peek();
  }

  take(): Delivery | undefined {
    return this.#queue.take();
  }

  /** Takes out what must not reach the client; what is to be read back is looked at then. */
  removeTopics(
    isRemoved: (topic: string) => boolean,
    onRemoved: (delivery: Delivery) => void,
  ): void {
    const removed: Delivery[] = [];
    this.#queue.removeWhere((delivery) => {
      if (delivery.publication === null || !isRemoved(delivery.publication.topic)) return 'keep';
      removed.push(delivery);
      return 'remove';
    });
    for (const delivery of removed) onRemoved(delivery);
  }

  /** Offers what waits for the owner, in order, as long as it is taken; false when it was not. */
  handOver(owner: DeliveryOwner, take: (delivery: Delivery) => boolean): boolean {
    let isAll = true;
    this.#queue.removeWhere((delivery) => {
      if (delivery.owner !== owner) return 'keep';
      isAll = take(delivery);
      return isAll ? 'remove' : 'stop';
    });
    return isAll;
  }

  /** With its message; null when nobody has that any more. */
  async load(delivery: Delivery): Promise<Delivery | null> {
    if (delivery.publication !== null) return delivery;
    const publication = await this.#read(delivery.sequence);
    return publication === null ? null : detached(withPublication(delivery, publication));
  }

  /** Takes up to `count` deliveries with their messages, and no more than about `bytesMax`. */
  async takeLoaded(options: {
    readonly count: number;
    readonly bytesMax: number;
    readonly onLost: (delivery: Delivery) => void;
  }): Promise<Delivery[]> {
    const taken: Delivery[] = [];
    let bytes = 0;
    while (taken.length < options.count && bytes <= options.bytesMax) {
      const delivery = this.#queue.peek();
      if (delivery === undefined) break;
      let loaded: Delivery | null;
      try {
        loaded = await this.load(delivery);
      } catch (error) {
        if (taken.length === 0) throw error;
        // What is taken goes on its way; who asks again hears of it.
        break;
      }
      // Taken only now: a failed read leaves it where it was.
      if (this.#queue.peek() !== delivery) break;
      this.#queue.take();
      if (loaded === null) {
        options.onLost(delivery);
        continue;
      }
      taken.push(loaded);
      bytes += loaded.publication?.payload.length ?? 0;
    }
    return taken;
  }
}
