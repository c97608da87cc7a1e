/**
 * One watcher's view: a snapshot of what matches, then every change, in one sequence. The watcher
 * takes events with `next` at its own pace. The snapshot is read from the index piece by piece and
 * costs no memory; changes to what it already passed wait, bounded, and a watcher that lets them
 * pile up is ended. A watch that is taken up again begins with what has changed since, in place of
 * the snapshot.
 */
import type { WatchSessionsResponse } from '../../proto/gen/trunkline/v1/fleet.ts';
import { Session } from '../../proto/gen/trunkline/v1/session.ts';
import type { SortedPlace } from '../sessions/columns/sorted-rows.ts';
import type { ChangeKind, SessionIndex } from '../sessions/session-index.ts';
import type { Matcher } from '../sessions/session-matcher.ts';

/** Sessions of the snapshot that are looked at in one go. */
const snapshotStep = 64;

/** Goes without a match before others get their turn: some thousand sessions, a millisecond. */
const stepsMax = 64;

/** Why a watch ended: its reader was too slow, its reader closed it, or the core stops. */
export type WatchEnd = 'slow' | 'closed' | 'core-stopping';

type Change = NonNullable<WatchSessionsResponse['change']>;

interface Waiting {
  readonly change: Change;
  /** The change of the index that it tells of; -1 within what comes first. */
  readonly sequence: number;
}

export interface SessionWatchOptions {
  readonly matcher: Matcher;
  /** What all matches' client identifiers begin with. */
  readonly clientIdPrefix: string;
  /** What has changed since the watch was left; null for a snapshot. */
  readonly missed: readonly Change[] | null;
  /** How many match now, where `missed` is given. */
  readonly matchCount: number;
  /** The place of a change of the index, for who takes up the watch again. */
  readonly positionOf: (sequence: number) => string;
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
  /** The last change of the index before the watch. */
  readonly #began: number;
  /** What the snapshot passed already; null once it is whole. */
  #cursor: SortedPlace | null;
  #snapshotCount = 0;
  #step: Session[] = [];
  #waiting: Waiting[] = [];
  /** Changes taken from the beginning of `#waiting`. */
  #taken = 0;
  #didMatch = false;
  #ended: WatchEnd | null = null;

  constructor(index: SessionIndex, options: SessionWatchOptions) {
    this.#index = index;
    this.#options = options;
    this.#began = index.sequence;
    this.#cursor = options.missed === null ? { key: options.clientIdPrefix, isPast: false } : null;
    if (options.missed !== null) {
      this.#waiting = options.missed.map((change) => ({ change, sequence: -1 }));
      this.#waiting.push(this.#snapshotEnd(options.matchCount));
    }
    this.#stopListening = index.onChange({
      changing: (row) => {
        this.#didMatch = options.matcher.test(row);
      },
      changed: (kind, row) => this.#take(kind, row),
    });
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
    const next = this.#nextSnapshot() ?? this.#nextWaiting();
    if (next === undefined) return null;
    this.#sequence++;
    const position = next.sequence < 0 ? '' : this.#options.positionOf(next.sequence);
    return { sequence: this.#sequence, change: next.change, position };
  }

  close(reason: WatchEnd = 'closed'): void {
    if (this.#ended !== null) return;
    this.#ended = reason;
    this.#stopListening();
    this.#step = [];
    this.#waiting = [];
    this.#options.onEnd(reason);
    this.#onReadable();
  }

  #nextSnapshot(): Waiting | undefined {
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
    return { change: { $case: 'snapshot', value }, sequence: -1 };
  }

  #readStep(cursor: SortedPlace): void {
    const { matcher, clientIdPrefix } = this.#options;
    const { table, sorted } = this.#index;
    const rows = sorted.slice(cursor).subarray(0, snapshotStep);
    const last = rows[rows.length - 1];
    const lastId = last === undefined ? '' : table.clientId(last);
    const isOver = last === undefined || !lastId.startsWith(clientIdPrefix);
    this.#cursor = isOver ? null : { key: lastId, isPast: true };
    for (const row of rows) if (matcher.test(row)) this.#step.push(table.read(row));
    this.#step.reverse(); // `pop` then gives them in order.
    if (isOver) this.#waiting.unshift(this.#snapshotEnd(this.#snapshotCount + this.#step.length));
  }

  /** Changes that wait are told behind it and came before it: who leaves here wants them again. */
  #snapshotEnd(sessionCount: number): Waiting {
    return { change: { $case: 'snapshotEnd', value: { sessionCount } }, sequence: this.#began };
  }

  #nextWaiting(): Waiting | undefined {
    if (this.#cursor !== null) return undefined;
    const next = this.#waiting[this.#taken];
    if (next === undefined) return undefined;
    this.#taken++;
    if (this.#taken === this.#waiting.length || this.#taken === 1_024) {
      this.#waiting.splice(0, this.#taken);
      this.#taken = 0;
    }
    return next;
  }

  #take(kind: ChangeKind, row: number): void {
    const change = this.#seenAs(kind, row);
    if (change === null) return;
    if (this.#waiting.length - this.#taken >= this.#options.changesMax) {
      this.close('slow');
      return;
    }
    this.#waiting.push({ change, sequence: this.#index.sequence });
    this.#onReadable();
  }

  /** The change as the filter lets it be seen; null when it is not to be seen. */
  #seenAs(kind: ChangeKind, row: number): Change | null {
    const { table } = this.#index;
    // What the snapshot has not passed yet, it will give as it is by then.
    if (this.#cursor !== null && !this.#isPassed(table.clientId(row))) return null;
    const matches = this.#options.matcher.test(row);
    if (kind !== 'changed') return matches ? { $case: kind, value: table.read(row) } : null;
    const matched = this.#didMatch;
    if (!matches && !matched) return null;
    const value = table.read(row);
    if (matches) return { $case: matched ? 'changed' : 'added', value };
    return { $case: 'removed', value };
  }

  #isPassed(clientId: string): boolean {
    return this.#cursor?.isPast === true && clientId <= this.#cursor.key;
  }
}

/** A session of which only the name is known. */
export function nameOnly(clientId: string): Session {
  return Object.assign(Session.decode(new Uint8Array(0)), { clientId });
}
