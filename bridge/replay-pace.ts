/**
 * How fast the lanes of one edge read an outage's backlog back from the spool: so many a second for
 * all of them together, so that what is live has its share of the event loop, the disk and the core.
 * What was accepted since is not paced: it may come faster than any pace.
 */
import type { Clock } from '../base/clock.ts';
import { bulkTurns } from '../base/limits.ts';
import type { Priority } from './lane-map.ts';

/** What may go at once after a rest: a backlog that is no longer than this is no outage. */
const burstMs = 50;

interface Waiter {
  readonly count: number;
  readonly resolve: () => void;
}

export class ReplayPace {
  readonly #clock: Clock;
  readonly #perMs: number;
  readonly #waiting: Readonly<Record<Priority, Waiter[]>> = { high: [], normal: [], bulk: [] };
  #tokens: number;
  #filledAt: number;
  #passedOver = 0;
  #cancelTimer: (() => void) | null = null;
  #isClosed = false;

  /** 0 for no pace. */
  constructor(clock: Clock, perSecond: number) {
    this.#clock = clock;
    this.#perMs = perSecond / 1_000;
    this.#tokens = this.#burst;
    this.#filledAt = clock.elapsed();
  }

  /** Resolves when so many more may go; also when it closes. */
  async admit(priority: Priority, count: number): Promise<void> {
    if (this.#perMs === 0 || this.#isClosed) return;
    await new Promise<void>((resolve) => {
      this.#waiting[priority].push({ count, resolve });
      this.#grant();
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    for (const waiters of Object.values(this.#waiting)) {
      for (const { resolve } of waiters.splice(0)) resolve();
    }
  }

  get #burst(): number {
    return this.#perMs * burstMs;
  }

  #grant(): void {
    if (this.#cancelTimer !== null) return;
    const now = this.#clock.elapsed();
    const filled = this.#tokens + (now - this.#filledAt) * this.#perMs;
    this.#tokens = Math.min(this.#burst, filled);
    this.#filledAt = now;
    while (this.#tokens > 0) {
      const waiter = this.#next();
      if (waiter === undefined) return;
      // Into debt for as much as one asks: the next waits for longer.
      this.#tokens -= waiter.count;
      waiter.resolve();
    }
    if (!this.#isAnyWaiting) return;
    this.#cancelTimer = this.#clock.after(Math.ceil(-this.#tokens / this.#perMs) + 1, () => {
      this.#cancelTimer = null;
      this.#grant();
    });
  }

  #next(): Waiter | undefined {
    const { high, normal, bulk } = this.#waiting;
    if (bulk.length > 0 && ++this.#passedOver >= bulkTurns) {
      this.#passedOver = 0;
      return bulk.shift();
    }
    return high.shift() ?? normal.shift() ?? bulk.shift();
  }

  get #isAnyWaiting(): boolean {
    return Object.values(this.#waiting).some((waiters) => waiters.length > 0);
  }
}
