/**
 * What an edge asked for, as its log cursors see it. A filter that comes while the edge is attached
 * counts from the head of the log on: what was published before it is the retained messages' part.
 */
import { laneCount } from '../../base/limits.ts';
import { TopicIndex } from '../../base/topic-index.ts';
import { allSlots, slotsOfFilter } from '../backplane/slots.ts';

const fromStart: readonly number[] = new Array(laneCount).fill(0);

export class EdgeInterest {
  readonly #filters = new Set<string>();
  /** The one value stands for the edge; the detail is the position, per lane, that a publication
   * must be past. */
  readonly #index = new TopicIndex<'edge', readonly number[]>();

  /** Null after a removal, until it is asked for. */
  #slots: bigint | null = 0n;

  get size(): number {
    return this.#filters.size;
  }

  /** Slots of the topics that it may want. */
  get slots(): bigint {
    if (this.#slots === null) {
      this.#slots = 0n;
      for (const filter of this.#filters) {
        this.#slots |= slotsOfFilter(filter);
        if (this.#slots === allSlots) break;
      }
    }
    return this.#slots;
  }

  /** False when it was there before. `after` is null for filters of earlier connections. */
  add(filter: string, after: readonly number[] | null): boolean {
    if (this.#filters.has(filter)) return false;
    this.#filters.add(filter);
    if (this.#slots !== null) this.#slots |= slotsOfFilter(filter);
    return this.#index.add(filter, 'edge', after ?? fromStart);
  }

  remove(filter: string): boolean {
    this.#index.remove(filter, 'edge');
    this.#slots = null;
    return this.#filters.delete(filter);
  }

  has(filter: string): boolean {
    return this.#filters.has(filter);
  }

  filters(): Iterable<string> {
    return this.#filters;
  }

  wants(topic: string, at: { readonly lane: number; readonly position: number }): boolean {
    for (const { detail } of this.#index.match(topic)) {
      if ((detail[at.lane] ?? 0) < at.position) return true;
    }
    return false;
  }
}
