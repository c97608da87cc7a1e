/**
 * What the core said others want of this edge. It outlives the link, so that QoS 0 that would have
 * been sent can be told from QoS 0 that nobody asked for while the link is down.
 */
import { TopicIndex } from '../base/topic-index.ts';
import type { InterestUpdate } from '../proto/gen/trunkline/v1/trunk.ts';

export class Wanted {
  readonly #filters = new Set<string>();
  readonly #index = new TopicIndex<'core', null>();

  apply(update: InterestUpdate): void {
    if (update.snapshot) for (const filter of this.#filters) this.#remove(filter);
    for (const filter of update.removed) this.#remove(filter);
    for (const filter of update.added) {
      this.#filters.add(filter);
      this.#index.add(filter, 'core', null);
    }
  }

  has(topic: string): boolean {
    return this.#index.size > 0 && this.#index.matches(topic);
  }

  #remove(filter: string): void {
    this.#filters.delete(filter);
    this.#index.remove(filter, 'core');
  }
}
