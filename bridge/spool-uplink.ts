/**
 * The spool as the lanes see it: durable records that go up, in the order of their lane, what the
 * core has acknowledged of them, and where the downlink stands.
 */
import type { Publication } from '../base/publication.ts';
import type { UplinkBooks } from './lane-books.ts';
import type { Priority } from './lane-map.ts';
import type { LaneStart, UplinkLog, UplinkRecord } from './ports.ts';
import type { SeenSources } from './seen-sources.ts';
import type { CanaryInput } from './spool-entry.ts';
import type { SpoolEpoch } from './spool-epoch.ts';
import type { SpoolLanes } from './spool-lanes.ts';
import type { ScannedRecord } from './spool-segment.ts';
import type { SpoolSegments } from './spool-segments.ts';

export interface SpoolUplinkHooks {
  append(entry: CanaryInput): void;
  durableThrough(): number;
  /** Positions count in another log from now on: to be written down before anything that does. */
  newLog(): void;
  /** To be written down before long. */
  positionMoved(): void;
  /** The core lost so many that it had acknowledged. */
  regressed(lane: number, count: number): void;
}

export class SpoolUplink implements UplinkLog {
  readonly #epoch: SpoolEpoch;
  readonly #lanes: SpoolLanes;
  readonly #segments: SpoolSegments;
  readonly #books: UplinkBooks;
  readonly #hooks: SpoolUplinkHooks;
  readonly #listeners: ((records: () => readonly UplinkRecord[]) => void)[] = [];
  readonly #releaseListeners: (() => void)[] = [];

  constructor(
    epoch: SpoolEpoch,
    of: {
      readonly lanes: SpoolLanes;
      readonly segments: SpoolSegments;
      readonly books: UplinkBooks;
    },
    hooks: SpoolUplinkHooks,
  ) {
    this.#epoch = epoch;
    this.#lanes = of.lanes;
    this.#segments = of.segments;
    this.#books = of.books;
    this.#hooks = hooks;
  }

  get epoch(): string {
    return this.#epoch.value;
  }

  get laneCount(): number {
    return this.#lanes.laneCount;
  }

  laneFor(topic: string): number {
    return this.#lanes.map.laneFor(topic);
  }

  get seen(): SeenSources {
    return this.#lanes.seen;
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
      this.acknowledge(lane, Math.min(through, this.#lanes.sentThrough(lane)));
    }
    // It has it under the epoch of before, so under this one it must not be sent again.
    this.#lanes.release(this.#lanes.acknowledged.map((place) => place + 1));
    this.#hooks.newLog();
  }

  get backlog(): number {
    return this.#lanes.backlog;
  }

  backlogOf(lane: number): number {
    return this.#lanes.backlogOf(lane);
  }

  priorityOf(lane: number): Priority {
    const { laneCount } = this.#lanes.map;
    if (lane === laneCount - 2) return 'high';
    return lane === laneCount - 1 ? 'bulk' : 'normal';
  }

  stageOf(lane: number, laneSequence: number): 'spooled' | 'sent' | 'acknowledged' | null {
    const lanes = this.#lanes;
    if (laneSequence < 1 || laneSequence > lanes.givenOut(lane)) return null;
    if (laneSequence <= lanes.acknowledgedOf(lane)) return 'acknowledged';
    return laneSequence <= lanes.sentThrough(lane) ? 'sent' : 'spooled';
  }

  appendCanary(lane: number, publication: Publication): number {
    this.#hooks.append({ kind: 'canary', lane, publication });
    return this.#lanes.givenOut(lane);
  }

  get bytes(): number {
    return this.#segments.bytes;
  }

  onUplink(listener: (records: () => readonly UplinkRecord[]) => void): void {
    this.#listeners.push(listener);
  }

  onReleased(listener: () => void): void {
    this.#releaseListeners.push(listener);
  }

  /** What an earlier run left is on the books of this one. */
  restored(): void {
    for (let lane = 0; lane < this.laneCount; lane++) {
      const count = this.backlogOf(lane);
      if (count > 0) this.#books.spooled.of(lane).add(count);
    }
  }

  /** So many of the lane, the last of which has this place. */
  markDurable(lane: number, of: { readonly through: number; readonly count: number }): void {
    this.#lanes.markDurable(lane, of.through);
    this.#books.spooled.of(lane).add(of.count);
  }

  /** These records have just become durable. */
  announce(records: () => readonly UplinkRecord[]): void {
    const lanes = this.#lanes;
    const released = () =>
      records().filter(({ lane, laneSequence }) => laneSequence <= lanes.newestOf(lane));
    for (const listener of this.#listeners) listener(lanes.isHeldBack ? released : records);
  }

  oldestOf(lane: number): number {
    return this.#lanes.oldestOf(lane);
  }

  newestOf(lane: number): number {
    return this.#lanes.newestOf(lane);
  }

  acknowledgedOf(lane: number): number {
    return this.#lanes.acknowledgedOf(lane);
  }

  resume(durableThrough: readonly number[]): void {
    for (const [lane, through] of durableThrough.entries()) {
      const count = this.#lanes.regress(lane, through);
      if (count === 0) continue;
      this.#books.withdrawn.of(lane).add(count);
      this.#hooks.regressed(lane, count);
    }
  }

  async *readLane(lane: number, fromLaneSequence: number): AsyncIterable<readonly UplinkRecord[]> {
    const last = this.newestOf(lane);
    const start = this.#lanes.sequenceOf(lane, Math.max(fromLaneSequence, this.oldestOf(lane)));
    for await (const chunk of this.#segments.chunks(start, this.#hooks.durableThrough())) {
      const records = chunk.flatMap((scanned) => uplinkOf(scanned, lane));
      const wanted = records.filter(({ laneSequence }) => {
        return laneSequence >= fromLaneSequence && laneSequence <= last;
      });
      if (wanted.length > 0) yield wanted;
      if ((records.at(-1)?.laneSequence ?? 0) >= last) return;
    }
  }

  acknowledge(lane: number, throughLaneSequence: number): void {
    const before = this.#lanes.acknowledgedOf(lane);
    const isMore = this.#lanes.acknowledge(lane, throughLaneSequence);
    this.#books.acknowledged.of(lane).add(this.#lanes.acknowledgedOf(lane) - before);
    if (isMore) for (const listener of this.#releaseListeners) listener();
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

function uplinkOf({ sequence, record }: ScannedRecord, lane: number): UplinkRecord | [] {
  if (record.kind !== 'publication' || record.direction !== 'up' || record.lane !== lane) return [];
  return { publication: record.publication, sequence, lane, laneSequence: record.place };
}
