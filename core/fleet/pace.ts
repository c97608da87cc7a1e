/**
 * Long work in slices: between two of them the core does its real work. One query goes at a time, so
 * that many of them slow each other down and nothing else.
 */
import type { Clock } from '../../base/clock.ts';
import { TrunklineError } from '../../base/errors.ts';

/** How long a slice keeps the event loop: below what a message notices. */
const sliceMs = 2;

/** Queries that may wait: operators and their tools, not devices, ask. */
const waitingMax = 100;

export class Pace {
  readonly #clock: Clock;
  #since: number;
  #slices = 1;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#since = clock.elapsed();
  }

  /** How many there were. */
  get slices(): number {
    return this.#slices;
  }

  /** Ask often: some thousand rows are a tenth of a slice. */
  get isDue(): boolean {
    return this.#clock.elapsed() - this.#since >= sliceMs;
  }

  async rest(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#since = this.#clock.elapsed();
    this.#slices++;
  }
}

/** Whose turn it is. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** Throws `overloaded` when too many wait. */
  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= waitingMax) {
      const text = `There are ${waitingMax} queries of sessions waiting already; try again later.`;
      throw new TrunklineError('overloaded', text);
    }
    this.#waiting++;
    const done = this.#last.then(work);
    this.#last = done.catch(() => {}); // The caller hears of it; the next one only waits.
    try {
      return await done;
    } finally {
      this.#waiting--;
    }
  }
}
