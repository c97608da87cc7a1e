/**
 * Retained messages of the core in memory. The backplane keeps them; this is filled at open and on
 * each commit.
 */
import { LevelTree } from '../../base/level-tree.ts';
import { type Publication, withPayload } from '../../base/publication.ts';

/** Topics with several writers that are remembered; past it the oldest goes. */
const contendedMax = 100_000;

const stepNodes = 10_000;

export class RetainedStore {
  readonly #tree = new LevelTree<Publication>();
  readonly #contended = new Set<string>();

  get size(): number {
    return this.#tree.size;
  }

  /** An empty payload deletes what the topic had. */
  set(publication: Publication): void {
    const { topic, origin } = publication;
    const present = this.#tree.get(topic);
    if (present !== undefined && present.origin !== origin) this.#contend(topic);
    if (publication.payload.length === 0) {
      this.#tree.delete(topic);
      return;
    }
    // Kept for long, while the message it is a view of is large.
    const kept = withPayload(publication, Buffer.from(publication.payload));
    this.#tree.set(topic, kept.retain ? kept : { ...kept, retain: true });
  }

  match(filter: string): Publication[] {
    return this.#tree.match(filter);
  }

  *all(): Iterable<Publication> {
    for (const step of this.#tree.walkAll(stepNodes)) yield* step;
  }

  /** Whether it is still what the topic has. */
  isCurrent(publication: Publication): boolean {
    return this.#tree.get(publication.topic) === publication;
  }

  /** Whether more than one edge was seen to write to the topic: only by the order here do they know
   * whose message is the last. */
  isContended(topic: string): boolean {
    return this.#contended.has(topic);
  }

  #contend(topic: string): void {
    this.#contended.add(topic);
    if (this.#contended.size <= contendedMax) return;
    for (const oldest of this.#contended) {
      this.#contended.delete(oldest);
      break;
    }
  }
}
