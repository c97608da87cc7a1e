/**
 * What a kept session writes down of its deliveries: which log sequences it still owes (in memory),
 * through which one all are settled, and the QoS 2 handshakes under way. After a crash the log is
 * read again and this tells which of its entries the session has had.
 */
import type { StateStore } from './store/state-store.ts';

export type JournalStore = Pick<StateStore, 'inflight' | 'settled' | 'received' | 'commit'>;

export interface JournalParts {
  readonly store: JournalStore;
  /** Writes the session's row with this settled mark. */
  readonly saveSettled: (settledThrough: number) => void;
  /** The session is done with the message of this log sequence. */
  readonly onSettled: (sequence: number) => void;
  /** A commit can't be made any more: the process is ending or broken. */
  readonly onFailure: (error: unknown) => void;
}

export class SessionJournal {
  readonly #parts: JournalParts;
  readonly #clientId: string;
  /** Log sequences that are queued or in flight, ascending; those before `#head` are done. */
  #owed: number[] = [];
  #head = 0;
  /** Of `#owed`, those that were settled before their turn. */
  readonly #early = new Set<number>();
  /** Settled sequences above `settledThrough`, each a row of its own. */
  readonly #ahead: Set<number>;
  #settledThrough: number;
  #newest = 0;
  /** Where rows are written; null once the session has ended. */
  #rows: JournalStore | null;

  constructor(
    parts: JournalParts,
    state: { clientId: string; settledThrough: number; ahead: Set<number> },
  ) {
    this.#parts = parts;
    this.#rows = parts.store;
    this.#clientId = state.clientId;
    this.#settledThrough = state.settledThrough;
    this.#ahead = state.ahead;
  }

  get settledThrough(): number {
    return this.#settledThrough;
  }

  /** The session is no more. What of its deliveries is still on the way is dealt with, and writes
   * nothing: the rows are gone, or already those of a new session of the same client. */
  end(): void {
    this.#rows = null;
  }

  /** Whether the session has had this log entry, or will not get it. */
  isSettled(sequence: number): boolean {
    return sequence <= this.#settledThrough || this.#ahead.has(sequence);
  }

  /** Lowest log sequence that is owed; Infinity for none. */
  get lowestOwed(): number {
    return this.#owed[this.#head] ?? Number.POSITIVE_INFINITY;
  }

  /** What is owed above `after` and below `before`, ascending. */
  *owedBetween(after: number, before: number): Iterable<number> {
    for (let at = this.#firstAbove(after); at < this.#owed.length; at++) {
      const sequence = this.#owed[at] as number;
      if (sequence >= before) return;
      if (!this.#early.has(sequence)) yield sequence;
    }
  }

  /** Lowest owed log sequence above `after`; Infinity for none. */
  lowestOwedAbove(after: number): number {
    for (const sequence of this.owedBetween(after, Number.POSITIVE_INFINITY)) return sequence;
    return Number.POSITIVE_INFINITY;
  }

  /** The session is to get this entry; called in log order. */
  expect(sequence: number): void {
    if (sequence === 0) return;
    this.#owed.push(sequence);
    this.#newest = Math.max(this.#newest, sequence);
  }

  /** The same for so many that follow each other. */
  expectRun(first: number, count: number): void {
    for (let sequence = first; sequence < first + count; sequence++) this.#owed.push(sequence);
    this.#newest = Math.max(this.#newest, first + count - 1);
  }

  /** Refused because the queue is full: it needs no row, since it is newer than all that is owed. */
  skipped(sequence: number): void {
    this.#newest = Math.max(this.#newest, sequence);
  }

  /** A QoS 2 PUBLISH is about to leave under this identifier. The owner is the name of the shared
   * subscription that it is of, if any. */
  launched(packetId: number, sequence: number, owner = ''): void {
    this.#rows?.inflight.put([this.#clientId, packetId, sequence, 0, owner]);
  }

  /** PUBREC came. */
  released(packetId: number, sequence: number, owner = ''): void {
    this.#rows?.inflight.put([this.#clientId, packetId, sequence, 1, owner]);
  }

  /** The handshake of QoS 2 is over. */
  landed(packetId: number): void {
    this.#rows?.inflight.delete([this.#clientId, packetId]);
  }

  /** Delivered or dropped: in every case dealt with. What is not owed (any more) changes nothing. */
  settled(sequence: number): void {
    if (!this.#retire(sequence)) return;
    this.#parts.onSettled(sequence);
    if (this.#rows === null) return;
    const through = Math.min(this.lowestOwed - 1, this.#newest);
    if (through > this.#settledThrough) {
      this.#settledThrough = through;
      this.#parts.saveSettled(through);
      this.#dropCovered(through);
    }
    if (sequence > this.#settledThrough) {
      this.#ahead.add(sequence);
      this.#rows?.settled.put([this.#clientId, sequence]);
    }
  }

  /** A packet identifier of QoS 2 that the client has not released. */
  noteReceived(packetId: number): void {
    this.#rows?.received.put([this.#clientId, packetId]);
  }

  forgetReceived(packetId: number): void {
    this.#rows?.received.delete([this.#clientId, packetId]);
  }

  commit(): Promise<void> {
    return this.#parts.store.commit();
  }

  whenDurable(then: () => void): void {
    this.#parts.store.commit().then(then).catch(this.#parts.onFailure);
  }

  /** Index of the first owed sequence above `after`, by bisection. */
  #firstAbove(after: number): number {
    let low = this.#head;
    let high = this.#owed.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#owed[middle] as number) > after) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** False when it is not owed. */
  #retire(sequence: number): boolean {
    if (this.#owed[this.#head] !== sequence) {
      const isOwed = this.#owed[this.#firstAbove(sequence - 1)] === sequence;
      if (!isOwed || this.#early.has(sequence)) return false;
      this.#early.add(sequence);
      return true;
    }
    this.#head++;
    while (this.#early.delete(this.#owed[this.#head] ?? 0)) this.#head++;
    if (this.#head > 1024 && this.#head * 2 > this.#owed.length) {
      this.#owed = this.#owed.slice(this.#head);
      this.#head = 0;
    }
    return true;
  }

  #dropCovered(through: number): void {
    for (const sequence of this.#ahead) {
      if (sequence > through) continue;
      this.#ahead.delete(sequence);
      this.#rows?.settled.delete([this.#clientId, sequence]);
    }
  }
}
