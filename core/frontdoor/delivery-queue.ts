/**
 * What waits for one reader behind the front door: retained messages first, then live ones. Live
 * ones are bounded by count and bytes; retained ones are references to what the fan-out holds
 * anyway and are taken as the reader gets to them.
 */
import { BoundedQueue } from '../../base/bounded-queue.ts';
import { batchBytesTarget, batchMessagesMax } from '../../base/limits.ts';
import { type Publication, publicationBytes, type Qos } from '../../base/publication.ts';
import type { Publication as Row } from '../../proto/gen/trunkline/v1/publication.ts';
import { lesserQos } from './subscription-set.ts';

/** Retained messages that may wait before more are asked for: a reader that subscribes again and
 * again without reading would else pile up references. */
const retainedMax = 1_000_000;

interface Item {
  readonly publication: Publication;
  readonly qos: Qos;
  readonly retain: boolean;
}

const noBytes = Buffer.alloc(0);

export class DeliveryQueue {
  readonly #live: BoundedQueue<Item>;
  #retained: { readonly list: readonly Publication[]; readonly qos: Qos; at: number }[] = [];
  #retainedCount = 0;

  constructor(options: { countMax: number; bytesMax: number }) {
    this.#live = new BoundedQueue({
      ...options,
      bytesOf: (item) => publicationBytes(item.publication),
    });
  }

  get length(): number {
    return this.#live.length + this.#retainedCount;
  }

  /** False when too many retained messages wait already. */
  get takesRetained(): boolean {
    return this.#retainedCount < retainedMax;
  }

  addRetained(list: readonly Publication[], qos: Qos): void {
    if (list.length === 0) return;
    this.#retained.push({ list, qos, at: 0 });
    this.#retainedCount += list.length;
  }

  /** False when it is full. `qos` is the one to deliver at. */
  offer(publication: Publication, qos: Qos): boolean {
    return this.#live.offer({ publication: kept(publication), qos, retain: false });
  }

  /** Takes out what must not go to the reader any more; answers how many there were. */
  removeTopics(isRemoved: (topic: string) => boolean): number {
    let removed = 0;
    this.#live.removeWhere(({ publication }) => {
      if (!isRemoved(publication.topic)) return 'keep';
      removed++;
      return 'remove';
    });
    this.#retained = this.#retained.map(({ list, qos, at }) => {
      const left = list.slice(at);
      const kept = left.filter(({ topic }) => !isRemoved(topic));
      removed += left.length - kept.length;
      this.#retainedCount -= left.length - kept.length;
      return { list: kept, qos, at: 0 };
    });
    this.#retained = this.#retained.filter(({ list }) => list.length > 0);
    return removed;
  }

  /** The next batch, with at most `window` publications of QoS above 0; empty when none may go. */
  take(window: number): Row[] {
    const rows: Row[] = [];
    let bytes = 0;
    let left = window;
    while (rows.length < batchMessagesMax && bytes < batchBytesTarget) {
      const item = this.#peek();
      if (item === undefined || (item.qos > 0 && left === 0)) break;
      if (item.qos > 0) left--;
      this.#skip();
      bytes += publicationBytes(item.publication);
      rows.push(rowOf(item));
    }
    return rows;
  }

  clear(): void {
    this.#live.clear();
    this.#retained = [];
    this.#retainedCount = 0;
  }

  #peek(): Item | undefined {
    const first = this.#retained[0];
    if (first === undefined) return this.#live.peek();
    const publication = first.list[first.at] as Publication;
    return { publication, qos: lesserQos(publication.qos, first.qos), retain: true };
  }

  #skip(): void {
    const first = this.#retained[0];
    if (first === undefined) {
      this.#live.take();
      return;
    }
    this.#retainedCount--;
    first.at++;
    if (first.at === first.list.length) this.#retained.shift();
  }
}

const copies = new WeakMap<Publication, Publication>();

/** A payload may be a view of a whole batch; one small copy, shared by all queues, frees that. */
function kept(publication: Publication): Publication {
  if (publication.payload.buffer.byteLength <= publication.payload.length * 2) return publication;
  let copy = copies.get(publication);
  if (copy === undefined) {
    copy = { ...publication, payload: Buffer.from(publication.payload) };
    copies.set(publication, copy);
  }
  return copy;
}

function rowOf({ publication, qos, retain }: Item): Row {
  return {
    topic: publication.topic,
    payload: publication.payload,
    qos,
    // [MQTT-3.3.1-9] what is delivered as it is published is not marked as retained.
    retain,
    properties: publication.properties ?? noBytes,
  };
}
