/**
 * The spool as the lanes see it: durable records that go up, in the order of their lane, what the
 * core has acknowledged of them, and where the downlink stands.
 */
import type { LaneStart, UplinkLog, UplinkRecord } from './ports.ts';
import type { SpoolEpoch } from './spool-epoch.ts';
import type { SpoolLanes } from './spool-lanes.ts';
import type { SpoolSegments } from './spool-segments.ts';

export interface SpoolUplinkHooks {
  durableThrough(): number;
  /** Positions count in another log from now on: to be written down before anything that does. */
  newLog(): void;
  /** To be written down before long. */
  positionMoved(): void;
}

export class SpoolUplink implements UplinkLog {
  readonly #epoch: SpoolEpoch;
  readonly #lanes: SpoolLanes;
  readonly #segments: SpoolSegments;
  readonly #hooks: SpoolUplinkHooks;
  readonly #listeners: ((records: () => readonly UplinkRecord[]) => void)[] = [];

  constructor(
    epoch: SpoolEpoch,
    of: { readonly lanes: SpoolLanes; readonly segments: SpoolSegments },
    hooks: SpoolUplinkHooks,
  ) {
    this.#epoch = epoch;
    this.#lanes = of.lanes;
    this.#segments = of.segments;
    this.#hooks = hooks;
  }

  get epoch(): string {
    return this.#epoch.value;
  }

  sentThrough(lane: number): number {
    return this.#lanes.sentThrough(lane);
  }

  noteSent(lane: number, throughLaneSequence: number): void {
    this.#lanes.noteSent(lane, throughLaneSequence);
  }

  async renewEpoch(durableThrough: readonly number[]): Promise<void> {
    await this.#epoch.renew();
    // What came with the copy the core has; what was accepted since then it has not.
    for (const [lane, through] of durableThrough.entries()) {
      this.#lanes.acknowledge(lane, Math.min(through, this.#lanes.sentThrough(lane)));
    }
  }

  get backlog(): number {
    return this.#lanes.backlog;
  }

  get bytes(): number {
    return this.#segments.bytes;
  }

  onUplink(listener: (records: () => readonly UplinkRecord[]) => void): void {
    this.#listeners.push(listener);
  }

  /** These records have just become durable. */
  announce(records: () => readonly UplinkRecord[]): void {
    for (const listener of this.#listeners) listener(records);
  }

  oldestOf(lane: number): number {
    return this.#lanes.oldestOf(lane);
  }

  newestOf(lane: number): number {
    return this.#lanes.newestOf(lane);
  }

  async *readLane(lane: number, fromLaneSequence: number): AsyncIterable<readonly UplinkRecord[]> {
    const first = Math.max(fromLaneSequence, this.oldestOf(lane));
    const start = this.#lanes.sequenceOf(lane, first);
    if (start === undefined) return;
    for await (const chunk of this.#segments.chunks(start, this.#hooks.durableThrough())) {
      const records: UplinkRecord[] = [];
      for (const { sequence, record } of chunk) {
        if (record.kind !== 'publication' || record.direction !== 'up') continue;
        if (record.lane !== lane || record.place < fromLaneSequence) continue;
        const { publication, place } = record;
        records.push({ publication, sequence, lane, laneSequence: place });
      }
      if (records.length > 0) yield records;
    }
  }

  acknowledge(lane: number, throughLaneSequence: number): void {
    this.#lanes.acknowledge(lane, throughLaneSequence);
  }

  downlinkPosition(lane: number): { readonly logEpoch: string; readonly position: number } {
    return { logEpoch: this.#lanes.logEpoch, position: this.#lanes.positions[lane] ?? 0 };
  }

  startAt(at: { readonly logEpoch: string; readonly lanes: readonly LaneStart[] }): void {
    if (this.#lanes.startAt(at.logEpoch, at.lanes)) this.#hooks.newLog();
    else this.#hooks.positionMoved();
  }

  notePosition(lane: number, at: { readonly logEpoch: string; readonly position: number }): void {
    if (at.logEpoch !== this.#lanes.logEpoch) return;
    if (this.#lanes.notePosition(lane, at.position)) this.#hooks.positionMoved();
  }

  adoptLog(logEpoch: string): void {
    if (this.#lanes.adoptLog(logEpoch)) this.#hooks.newLog();
  }
}
