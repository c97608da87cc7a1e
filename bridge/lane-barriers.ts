/**
 * Changes of the lane map in the order of the spool. What was accepted after one stays back until all
 * that was accepted before is durable at the core: else a topic that changes lanes could overtake
 * itself. A barrier is kept for as long as the places before it can be sent again.
 */
import { TrunklineError } from '../base/errors.ts';
import { laneBarriersMax } from '../base/limits.ts';

/** The last place of each lane before the change. */
export type Barrier = readonly number[];

export class LaneBarriers {
  #barriers: Barrier[] = [];
  #standing: Barrier | null = null;

  get all(): readonly Barrier[] {
    return this.#barriers;
  }

  /** Something is held back. */
  get isStanding(): boolean {
    return this.#standing !== null;
  }

  /** Nothing of the lane goes up past this place for now. */
  limitOf(lane: number): number {
    if (this.#standing === null) return Number.POSITIVE_INFINITY;
    return this.#standing[lane] ?? 0;
  }

  restore(barriers: readonly Barrier[]): void {
    this.#barriers = [...barriers];
  }

  /** Throws `overloaded` when too many wait for each other. */
  add(barrier: Barrier): void {
    const last = this.#barriers.at(-1);
    if (last !== undefined && barrier.every((place, lane) => place === (last[lane] ?? 0))) return;
    if (this.#barriers.length >= laneBarriersMax) {
      throw new TrunklineError(
        'overloaded',
        `The lanes of this edge were changed ${laneBarriersMax} times while messages waited: let the spool drain first.`,
      );
    }
    this.#barriers.push(barrier);
  }

  /** Watermarks have moved; true when more may go up than before. */
  update(acknowledged: (lane: number) => number): boolean {
    const before = this.#standing;
    const isPassed = (barrier: Barrier) =>
      barrier.every((place, lane) => acknowledged(lane) >= place);
    this.#standing = this.#barriers.find((barrier) => !isPassed(barrier)) ?? null;
    return before !== null && before !== this.#standing;
  }

  /** Places below these are never sent again. */
  release(oldest: (lane: number) => number): void {
    const isPast = (barrier: Barrier) => barrier.every((place, lane) => oldest(lane) > place);
    while (this.#barriers[0] !== undefined && isPast(this.#barriers[0])) this.#barriers.shift();
  }
}
