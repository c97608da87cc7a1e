/**
 * The lanes' side of the spool: which sequences go up on each lane, which of them the core has made
 * durable, and where the downlink of each lane stands.
 */
import { laneCount } from '../base/limits.ts';
import type { LaneStart } from './ports.ts';
import type { SpoolRecord } from './spool-record.ts';

interface Lane {
  /** The last lane sequence given out. */
  newest: number;
  /** The last lane sequence that is on disk. */
  durable: number;
  /** The last lane sequence that was sent, or that an earlier run left. */
  sent: number;
  /** Spool sequences of what the core has not acknowledged; the first is `newest - length + 1`.
   * Negative for a place whose record is damaged: the sequence that the log is still needed from. */
  unacknowledged: number[];
  /** How many at the head of `unacknowledged` are done with; cut off now and then. */
  head: number;
}

export class SpoolLanes {
  readonly #lanes: Lane[] = Array.from({ length: laneCount }, () => ({
    newest: 0,
    durable: 0,
    sent: 0,
    unacknowledged: [],
    head: 0,
  }));
  logEpoch = '';
  readonly positions: number[] = new Array(laneCount).fill(0);
  /** What came down and was appended, which may not be noted in `positions` yet. */
  readonly #appended: number[] = new Array(laneCount).fill(0);

  /** The next places on a lane, taken by what has these spool sequences; answers the first. */
  assign(lane: number, sequence: number, count: number): number {
    const state = this.#lane(lane);
    const first = state.newest + 1;
    state.newest += count;
    for (let i = 0; i < count; i++) state.unacknowledged.push(sequence + i);
    return first;
  }

  /** What a record found on start says of the lanes; called in log order. */
  restoreFrom(record: SpoolRecord, sequence: number): void {
    if (record.kind === 'state') {
      this.#restoreCounters(record.laneSequences, sequence);
      this.logEpoch = record.logEpoch;
      for (let lane = 0; lane < laneCount; lane++) {
        this.positions[lane] = record.positions[lane] ?? 0;
      }
      return;
    }
    if (record.kind !== 'publication') return;
    const { direction, lane, place } = record;
    if (direction === 'up') this.#restore(lane, place, sequence);
    if (direction === 'down') this.positions[lane] = Math.max(this.positions[lane] ?? 0, place);
  }

  /** A record found on start: its place was given out by an earlier run. */
  #restore(lane: number, place: number, sequence: number): void {
    this.#restoreThrough(lane, place - 1, sequence);
    const state = this.#lane(lane);
    state.newest = place;
    state.durable = place;
    state.sent = place;
    state.unacknowledged.push(sequence);
  }

  /** Counters found on start, in the record of this sequence. */
  #restoreCounters(laneSequences: readonly number[], sequence: number): void {
    for (const [lane, newest] of laneSequences.entries()) {
      if (lane < laneCount) this.#restoreThrough(lane, newest, sequence);
    }
  }

  markDurable(lane: number, place: number): void {
    this.#lane(lane).durable = place;
  }

  acknowledge(lane: number, through: number): void {
    const state = this.#lane(lane);
    const oldest = this.oldestOf(lane);
    const done = Math.min(through, state.durable) - oldest + 1;
    if (done <= 0) return;
    state.head += done;
    // What is damaged never goes up: the lane goes on behind it.
    while ((state.unacknowledged[state.head] ?? 0) < 0) state.head++;
    if (state.head > 4096 && state.head * 2 > state.unacknowledged.length) {
      state.unacknowledged = state.unacknowledged.slice(state.head);
      state.head = 0;
    }
  }

  oldestOf(lane: number): number {
    const state = this.#lane(lane);
    return state.newest - (state.unacknowledged.length - state.head) + 1;
  }

  newestOf(lane: number): number {
    return this.#lane(lane).durable;
  }

  sentThrough(lane: number): number {
    return this.#lane(lane).sent;
  }

  noteSent(lane: number, through: number): void {
    const state = this.#lane(lane);
    state.sent = Math.max(state.sent, through);
  }

  /** Spool sequence of a place on a lane that is not acknowledged. */
  sequenceOf(lane: number, place: number): number | undefined {
    const state = this.#lane(lane);
    const sequence = state.unacknowledged[state.head + place - this.oldestOf(lane)];
    return sequence === undefined ? undefined : Math.abs(sequence);
  }

  /** True when it is news. */
  notePosition(lane: number, position: number): boolean {
    if ((this.positions[lane] ?? 0) >= position) return false;
    this.positions[lane] = position;
    return true;
  }

  /** What came down is in the log, and durable before any state record behind it. */
  noteAppended(lane: number, position: number): void {
    this.#appended[lane] = Math.max(this.#appended[lane] ?? 0, position);
  }

  /** Positions for a state record: it stands behind everything appended, so that a start which
   * reads it must not forget that. */
  get positionsToKeep(): number[] {
    return this.positions.map((position, lane) => Math.max(position, this.#appended[lane] ?? 0));
  }

  /** True when it is another log than before: positions in the old one mean nothing in it. */
  adoptLog(logEpoch: string): boolean {
    if (this.logEpoch === logEpoch) return false;
    this.logEpoch = logEpoch;
    this.positions.fill(0);
    this.#appended.fill(0);
    return true;
  }

  /** True when what is on disk must not stand: another log, or positions that went back. */
  startAt(logEpoch: string, starts: readonly LaneStart[]): boolean {
    let isNews = this.adoptLog(logEpoch);
    for (const [lane, { position, isSetBack }] of starts.entries()) {
      if (isSetBack) {
        this.positions[lane] = position;
        this.#appended[lane] = position;
        isNews = true;
      } else {
        this.notePosition(lane, position);
      }
    }
    return isNews;
  }

  /** The lowest spool sequence that still has to go up; Infinity for none. */
  lowestHeld(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes) {
      lowest = Math.min(lowest, Math.abs(lane.unacknowledged[lane.head] ?? lowest));
    }
    return lowest;
  }

  isPending(lane: number, sequence: number): boolean {
    const state = this.#lane(lane);
    const first = state.unacknowledged[state.head];
    return first !== undefined && sequence >= Math.abs(first);
  }

  get backlog(): number {
    return this.#lanes.reduce(
      (sum, lane) => sum + lane.unacknowledged.length - lane.head - (lane.newest - lane.durable),
      0,
    );
  }

  get laneSequences(): number[] {
    return this.#lanes.map((lane) => lane.newest);
  }

  /** Places up to this one were given out. Those that no record was found for are damaged, unless
   * they stand before the first that was found: these were freed. */
  #restoreThrough(lane: number, through: number, sequence: number): void {
    const state = this.#lane(lane);
    if (through <= state.newest) return;
    if (state.unacknowledged.length > 0) {
      for (let place = state.newest; place < through; place++) state.unacknowledged.push(-sequence);
    }
    state.newest = through;
    state.durable = through;
    state.sent = through;
  }

  #lane(lane: number): Lane {
    const state = this.#lanes[lane];
    if (state === undefined) throw new RangeError(`lane ${lane} of ${laneCount}`);
    return state;
  }
}
