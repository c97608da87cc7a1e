/** The fan-out's contract in memory: routes at once, keeps retained messages, and can be held up or
 * made to fail. */
import { TrunklineError } from '../../base/errors.ts';
import type { Publication } from '../../base/publication.ts';
import { topicMatches } from '../../base/topic.ts';
import { TopicIndex } from '../../base/topic-index.ts';
import type { Fanout, FanoutAttachment, FanoutTarget } from '../../core/fanout/target.ts';

export class FakeFanout implements Fanout {
  readonly published: Publication[] = [];
  readonly targets = new Set<FanoutTarget>();
  /** Set to make `publish` throw `store-failing`. */
  isFailing = false;
  readonly #index = new TopicIndex<FanoutTarget, null>();
  readonly #retained = new Map<string, Publication>();
  #hold: Promise<void> | null = null;

  /** Publishing waits until the returned function is called. */
  hold(): () => void {
    let release = () => {};
    this.#hold = new Promise((resolve) => {
      release = resolve;
    });
    return () => {
      this.#hold = null;
      release();
    };
  }

  async publish(publications: readonly Publication[]): Promise<void> {
    if (this.#hold !== null) await this.#hold;
    if (this.isFailing) throw new TrunklineError('store-failing', 'The log takes nothing now.');
    for (const publication of publications) {
      this.published.push(publication);
      if (publication.retain) this.#retained.set(publication.topic, publication);
      const targets = this.#index.match(publication.topic).map((entry) => entry.value);
      for (const target of new Set(targets)) {
        if (target.id !== publication.origin) target.deliver([publication]);
      }
    }
  }

  attach(target: FanoutTarget): FanoutAttachment {
    const filters = new Set<string>();
    this.targets.add(target);
    return {
      want: (filter) => {
        filters.add(filter);
        return this.#index.add(filter, target, null);
      },
      unwant: (filter) => {
        filters.delete(filter);
        return this.#index.remove(filter, target);
      },
      retained: (filter) =>
        [...this.#retained.values()].filter(({ topic }) => topicMatches(filter, topic)),
      isRetained: ({ topic }) => this.#retained.has(topic),
      detach: () => {
        for (const filter of filters) this.#index.remove(filter, target);
        this.targets.delete(target);
      },
    };
  }
}
