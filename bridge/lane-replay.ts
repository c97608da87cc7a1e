/**
 * How a lane catches up: what its window does not hold is read from the spool, in slices, at the
 * edge's pace for what an outage left, until nothing newer is there.
 */
import type { Counter } from '../base/metrics.ts';
import type { Priority } from './lane-map.ts';
import type { UplinkLog, UplinkRecord } from './ports.ts';
import type { ReplayPace } from './replay-pace.ts';

/** Records that wait for the pace together. Each slice is a batch and a commit at the core: slices of
 * 100 were measured to cost nearly twice as much a record, whole chunks hold up the loop for longer. */
const sliceRecords = 250;

export interface LaneReplayParts {
  readonly spool: UplinkLog;
  readonly pace: ReplayPace;
  readonly readBack: Counter;
}

/** The lane that catches up. */
export interface LaneAtReplay {
  readonly lane: number;
  readonly priority: Priority;
  /** The sequence that its window takes next. */
  next(): number;
  acknowledged(): number;
  /** False when its window is full. */
  admit(record: UplinkRecord): boolean;
  wake(): void;
}

export class LaneReplay {
  readonly #parts: LaneReplayParts;
  readonly #of: LaneAtReplay;
  #isClosed = false;
  #onRoom: () => void = () => {};
  #onAcknowledged: () => void = () => {};
  /** Durable on the lane when last looked at. */
  #durableSeen = 0;
  /** Durable since the backlog was there, and not read yet: they do not wait for the pace. */
  #arrived = 0;

  constructor(parts: LaneReplayParts, of: LaneAtReplay) {
    this.#parts = parts;
    this.#of = of;
  }

  /** What is durable now is an outage's backlog. */
  beginBehind(): void {
    this.#durableSeen = this.#durable;
    this.#arrived = 0;
  }

  /** The lane was live: whatever it has not taken came faster than it went. */
  fallBehind(): void {
    this.#durableSeen = this.#of.next() - 1;
    this.#arrived = 0;
  }

  /** Ends in the same turn in which it finds nothing newer, so that no live record falls between. */
  async run(): Promise<void> {
    const { spool } = this.#parts;
    const { lane } = this.#of;
    while (!this.#isClosed && this.#of.next() <= spool.newestOf(lane)) {
      const before = this.#of.next();
      for await (const chunk of spool.readLane(lane, before)) {
        await this.#admitAll(chunk);
        if (this.#isClosed) return;
      }
      if (this.#of.next() === before) await this.#reachGap();
    }
  }

  /** The window has room again. */
  room(): void {
    this.#onRoom();
    this.#onRoom = () => {};
  }

  acknowledged(): void {
    this.#onAcknowledged();
  }

  close(): void {
    this.#isClosed = true;
    this.room();
    this.#onAcknowledged();
  }

  async #admitAll(records: readonly UplinkRecord[]): Promise<void> {
    for (let at = 0; at < records.length && !this.#isClosed; at += sliceRecords) {
      const slice = records.slice(at, at + sliceRecords);
      await this.#keepPace(slice.length);
      await this.#admitSlice(slice);
      this.#of.wake();
    }
  }

  async #admitSlice(records: readonly UplinkRecord[]): Promise<void> {
    for (const record of records) {
      const { laneSequence } = record;
      if (laneSequence < this.#of.next()) continue;
      if (laneSequence > this.#of.next()) await this.#reachGap();
      while (!this.#isClosed && !this.#of.admit(record)) await this.#room();
      if (this.#isClosed) return;
      this.#parts.readBack.add();
    }
  }

  /** The backlog shrinks by no more than the pace, and by no less than that for what arrives. */
  async #keepPace(count: number): Promise<void> {
    const durable = this.#durable;
    this.#arrived += durable - this.#durableSeen;
    this.#durableSeen = durable;
    const free = Math.max(0, Math.min(count, this.#arrived));
    this.#arrived -= free;
    if (count > free) await this.#parts.pace.admit(this.#of.priority, count - free);
  }

  /** The next sequence is damaged. What is before it goes up first; then the link ends, and the
   * spool lets the next one begin behind it. */
  async #reachGap(): Promise<void> {
    this.#of.wake();
    while (!this.#isClosed && this.#of.acknowledged() < this.#of.next() - 1) {
      await new Promise<void>((resolve) => {
        this.#onAcknowledged = resolve;
      });
    }
    if (this.#isClosed) return;
    throw new Error(`lane ${this.#of.lane} of the spool lacks sequence ${this.#of.next()}`);
  }

  #room(): Promise<void> {
    this.#of.wake();
    return new Promise((resolve) => {
      this.#onRoom = resolve;
    });
  }

  get #durable(): number {
    const { spool } = this.#parts;
    return spool.acknowledgedOf(this.#of.lane) + spool.backlogOf(this.#of.lane);
  }
}
