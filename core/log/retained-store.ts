/**
 * Retained messages of the core in memory. The backplane keeps them; this is filled at open and on
 * each commit.
 */
import { LevelTree } from '../../base/level-tree.ts';
import { type Publication, withPayload } from '../../base/publication.ts';

export class RetainedStore {
  readonly #tree = new LevelTree<Publication>();

  get size(): number {
    return this.#tree.size;
  }

  /** An empty payload deletes what the topic had. */
  set(publication: Publication): void {
    if (publication.payload.length === 0) {
      this.#tree.delete(publication.topic);
      return;
    }
    // Kept for long, while the message it is a view of is large.
    const kept = withPayload(publication, Buffer.from(publication.payload));
    this.#tree.set(publication.topic, kept.retain ? kept : { ...kept, retain: true });
  }

  match(filter: string): Publication[] {
    return this.#tree.match(filter);
  }
}
