/**
 * One watcher's view: a snapshot of what matches, then every change, in one sequence. The watcher
 * takes events with `next` at its own pace. The snapshot is read from the index piece by piece and
 * costs no memory; changes to what it already passed wait, bounded, and a watcher that lets them
 * pile up is ended.
 */
import type { WatchSessionsResponse } from '../../proto/gen/trunkline/v1/fleet.ts';
import type { Session } from '../../proto/gen/trunkline/v1/session.ts';
import { isWalkOver, type SessionFilter } from '../sessions/session-filter.ts';
import type { SessionChange, SessionIndex } from '../sessions/session-index.ts';

/** Sessions of the snapshot that are looked at in one go. */
const snapshotStep = 64;

/** Goes without a match before others get their turn: some thousand sessions, a millisecond. */
const stepsMax = 64;

/** Why a watch ended: its reader was too slow, its reader closed it, or the core stops. */
export type WatchEnd = 'slow' | 'closed' | 'core-stopping';

type Change = NonNullable<WatchSessionsResponse['change']>;

export interface SessionWatchOptions {
  readonly filter: SessionFilter;
  /** Changes that may wait for the reader. */
  readonly changesMax: number;
  /** Told once, when the watch is over. */
  readonly onEnd: (reason: WatchEnd) => void;
}

export class SessionWatch {
  readonly #index: SessionIndex;
  readonly #options: SessionWatchOptions;
  readonly #stopListening: () => void;
  #onReadable: () => void = () => {};
  #sequence = 0;
  /** What the snapshot passed already; null once it is whole. */
  #cursor: { key: string; isPast: boolean } | null;
  #snapshotCount = 0;
  #step: Session[] = [];
  #changes: Change[] = [];
  #ended: WatchEnd | null = null;

  constructor(index: SessionIndex, options: SessionWatchOptions) {
    this.#index = index;
    this.#options = options;
    this.#cursor = { key: options.filter.clientIdPrefix, isPast: false };
    this.#stopListening = index.onChange((change) => this.#take(change));
  }

  /** Null while it goes on. */
  get ended(): WatchEnd | null {
    return this.#ended;
  }

  /** Calls, synchronously, when `next` may have something again, and at the end. */
  onReadable(listener: () => void): void {
    this.#onReadable = listener;
  }

  /** The next event, or null when there is none now, or never again. */
  next(): WatchSessionsResponse | null {
    if (this.#ended !== null) return null;
    const change = this.#nextSnapshot() ?? this.#nextChange();
    if (change === undefined) return null;
    this.#sequence++;
    return { sequence: this.#sequence, change };
  }

  close(reason: WatchEnd = 'closed'): void {
    if (this.#ended !== null) return;
    this.#ended = reason;
    this.#stopListening();
    this.#step = [];
    this.#changes = [];
    this.#options.onEnd(reason);
    this.#onReadable();
  }

  #nextSnapshot(): Change | undefined {
    for (let steps = 0; this.#step.length === 0 && this.#cursor !== null; steps++) {
      if (steps === stepsMax) {
        setImmediate(() => this.#onReadable());
        return undefined;
      }
      this.#readStep(this.#cursor);
    }
    const value = this.#step.pop();
    if (value === undefined) return undefined;
    this.#snapshotCount++;
    return { $case: 'snapshot', value };
  }

  #readStep(cursor: { key: string; isPast: boolean }): void {
    const { filter } = this.#options;
    const entries = this.#index.slice(cursor, snapshotStep);
    const last = entries.at(-1);
    const isOver = last === undefined || isWalkOver(filter, last.key);
    this.#cursor = isOver ? null : { key: last.key, isPast: true };
    for (const { session } of entries) if (filter.matches(session)) this.#step.push(session);
    this.#step.reverse(); // `pop` then gives them in order.
    if (!isOver) return;
    const sessionCount = this.#snapshotCount + this.#step.length;
    this.#changes.unshift({ $case: 'snapshotEnd', value: { sessionCount } });
  }

  #nextChange(): Change | undefined {
    return this.#cursor === null ? this.#changes.shift() : undefined;
  }

  #take(change: SessionChange): void {
    const seen = this.#seenAs(change);
    if (seen === null) return;
    if (this.#changes.length >= this.#options.changesMax) {
      this.close('slow');
      return;
    }
    this.#changes.push(seen);
    this.#onReadable();
  }

  /** The change as the filter lets it be seen; null when it is not to be seen. */
  #seenAs(change: SessionChange): Change | null {
    const { session: value, previous } = change;
    // What the snapshot has not passed yet, it will give as it is by then.
    if (this.#cursor !== null && !this.#isPassed(value.clientId)) return null;
    const matches = this.#options.filter.matches(value);
    if (change.kind !== 'changed') return matches ? { $case: change.kind, value } : null;
    const matched = previous !== null && this.#options.filter.matches(previous);
    if (matches) return { $case: matched ? 'changed' : 'added', value };
    return matched ? { $case: 'removed', value } : null;
  }

  #isPassed(clientId: string): boolean {
    return this.#cursor?.isPast === true && clientId <= this.#cursor.key;
  }
}
