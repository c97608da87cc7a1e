/**
 * Walks the session index in order for a page and a total. A walk over a million sessions takes
 * most of a second, so it is cut into slices between which the core does its real work, and one
 * walk goes at a time.
 */
import type { Clock } from '../../base/clock.ts';
import { TrunklineError } from '../../base/errors.ts';
import type { Session } from '../../proto/gen/trunkline/v1/session.ts';
import { isWalkOver, type SessionFilter } from '../sessions/session-filter.ts';
import type { SessionIndex } from '../sessions/session-index.ts';

/** Entries that one look at the index gives; a bucket holds no more. */
const stepMax = 1_024;

/** How long a walk keeps the event loop: below what a message notices. */
const sliceMs = 2;

/** Walks that may wait: operators and their tools, not devices, ask. */
const waitingMax = 100;

export interface ScanWanted {
  readonly filter: SessionFilter;
  /** The page begins past this key; null for the first page. */
  readonly after: string | null;
  readonly pageSize: number;
  /** Null when the matches are to be counted; else the walk ends with the page. */
  readonly total: number | null;
}

export interface ScanFound {
  readonly page: readonly Session[];
  readonly hasMore: boolean;
  readonly total: number;
}

export class SessionScan {
  readonly #index: SessionIndex;
  readonly #clock: Clock;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(parts: { index: SessionIndex; clock: Clock }) {
    this.#index = parts.index;
    this.#clock = parts.clock;
  }

  /** Throws `overloaded` when too many walks wait. */
  async run(wanted: ScanWanted): Promise<ScanFound> {
    if (this.#waiting >= waitingMax) {
      const text = `There are ${waitingMax} queries of sessions waiting already; try again later.`;
      throw new TrunklineError('overloaded', text);
    }
    this.#waiting++;
    const found = this.#last.then(() => this.#walk(wanted));
    this.#last = found.catch(() => {}); // The caller hears of it; the next walk only waits.
    try {
      return await found;
    } finally {
      this.#waiting--;
    }
  }

  async #walk(wanted: ScanWanted): Promise<ScanFound> {
    const gathered = new Gathered(wanted);
    const { filter, after, total } = wanted;
    // Who need not count begins where the page does.
    const isPast = total !== null && after !== null;
    let from = { key: isPast ? after : filter.clientIdPrefix, isPast };
    let since = this.#clock.elapsed();
    for (;;) {
      const entries = this.#index.slice(from, stepMax);
      for (const { key, session } of entries) gathered.look(key, session);
      const last = entries.at(-1);
      if (last === undefined || gathered.isEnough || isWalkOver(filter, last.key)) break;
      from = { key: last.key, isPast: true };
      if (this.#clock.elapsed() - since < sliceMs) continue;
      await new Promise((resolve) => setImmediate(resolve));
      since = this.#clock.elapsed();
    }
    return gathered.found();
  }
}

class Gathered {
  readonly #wanted: ScanWanted;
  readonly #page: Session[] = [];
  #hasMore = false;
  #count = 0;

  constructor(wanted: ScanWanted) {
    this.#wanted = wanted;
  }

  get isEnough(): boolean {
    return this.#hasMore && this.#wanted.total !== null;
  }

  look(key: string, session: Session): void {
    const { filter, after, pageSize } = this.#wanted;
    if (!filter.matches(session)) return;
    this.#count++;
    if (after !== null && key <= after) return;
    if (this.#page.length < pageSize) this.#page.push(session);
    else this.#hasMore = true;
  }

  found(): ScanFound {
    const total = this.#wanted.total ?? this.#count;
    return { page: this.#page, hasMore: this.#hasMore, total };
  }
}
