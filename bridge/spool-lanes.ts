/**
 * The lanes' side of the spool: which sequences go up on each lane, which of them the core has made
 * durable, and where the downlink of each lane stands.
 */
import { laneCount } from '../base/limits.ts';

interface Lane {
  /** The last lane sequence given out. */
  newest: number;
  /** The last lane sequence that is on disk. */
  durable: number;
  /** Spool sequences of what the core has not acknowledged; the first is `newest - length + 1`. */
  unacknowledged: number[];
  /** How many at the head of `unacknowledged` are done with; cut off now and then. */
  head: number;
}

export class SpoolLanes {
  readonly #lanes: Lane[] = Array.from({ length: laneCount }, () => ({
    newest: 0,
    durable: 0,
    unacknowledged: [],
    head: 0,
  }));
  logEpoch = '';
  readonly positions: number[] = new Array(laneCount).fill(0);

  /** The next place on a lane, taken by the record of this spool sequence. */
  assign(lane: number, sequence: number): number {
    const state = this.#lane(lane);
    state.newest++;
    state.unacknowledged.push(sequence);
    return state.newest;
  }

  /** A record found on start: its place was given out by an earlier run. */
  restore(lane: number, place: number, sequence: number): void {
    const state = this.#lane(lane);
    state.newest = place;
    state.durable = place;
    state.unacknowledged.push(sequence);
  }

  /** Counters found on start at the head of a segment. */
  restoreCounters(laneSequences: readonly number[]): void {
    for (const [lane, newest] of laneSequences.entries()) {
      const state = this.#lanes[lane];
      if (state !== undefined && newest > state.newest) {
        state.newest = newest;
        state.durable = newest;
      }
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

  /** Spool sequence of a place on a lane that is not acknowledged. */
  sequenceOf(lane: number, place: number): number | undefined {
    const state = this.#lane(lane);
    return state.unacknowledged[state.head + place - this.oldestOf(lane)];
  }

  /** True when it is news. */
  notePosition(lane: number, position: number): boolean {
    if ((this.positions[lane] ?? 0) >= position) return false;
    this.positions[lane] = position;
    return true;
  }

  /** True when it is another log than before: positions in the old one mean nothing in it. */
  adoptLog(logEpoch: string): boolean {
    if (this.logEpoch === logEpoch) return false;
    this.logEpoch = logEpoch;
    this.positions.fill(0);
    return true;
  }

  /** The lowest spool sequence that still has to go up; Infinity for none. */
  lowestHeld(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes) {
      lowest = Math.min(lowest, lane.unacknowledged[lane.head] ?? Number.POSITIVE_INFINITY);
    }
    return lowest;
  }

  isPending(lane: number, sequence: number): boolean {
    const state = this.#lane(lane);
    const first = state.unacknowledged[state.head];
    return first !== undefined && sequence >= first;
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

  #lane(lane: number): Lane {
    const state = this.#lanes[lane];
    if (state === undefined) throw new RangeError(`lane ${lane} of ${laneCount}`);
    return state;
  }
}
