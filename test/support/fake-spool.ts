/**
 * An `UplinkLog` in memory that stands for an edge's spool: what is appended is durable at once and
 * stays until it is acknowledged. It outlives bridges, as a spool on disk outlives a process.
 */
import { laneCount, uplinkLanesMax } from '../../base/limits.ts';
import type { Publication } from '../../base/publication.ts';
import { createLaneMap } from '../../bridge/lane-map.ts';
import type { LaneStart, UplinkLog, UplinkRecord } from '../../bridge/ports.ts';
import { SeenSources } from '../../bridge/seen-sources.ts';

const chunkRecords = 100;

export class FakeSpool implements UplinkLog {
  epoch: string;
  readonly seen = new SeenSources();
  readonly #map = createLaneMap(laneCount);
  readonly #sent: number[] = new Array(uplinkLanesMax).fill(0);
  readonly #lanes: UplinkRecord[][] = Array.from({ length: uplinkLanesMax }, () => []);
  readonly #newest: number[] = new Array(uplinkLanesMax).fill(0);
  readonly #positions: number[] = new Array(laneCount).fill(0);
  readonly #listeners: ((records: () => readonly UplinkRecord[]) => void)[] = [];
  #logEpoch = '';
  #sequence = 0;
  /** How many records were read back from "disk". */
  readBack = 0;

  constructor(epoch: string) {
    this.epoch = epoch;
  }

  /** One group commit. */
  append(publications: readonly Publication[]): void {
    const records = publications.map((publication) => {
      const lane = this.laneFor(publication.topic);
      const laneSequence = (this.#newest[lane] ?? 0) + 1;
      this.#newest[lane] = laneSequence;
      const record = { publication, sequence: ++this.#sequence, lane, laneSequence };
      this.#lanes[lane]?.push(record);
      return record;
    });
    for (const listener of this.#listeners) listener(() => records);
  }

  appendCanary(lane: number, publication: Publication): number {
    const laneSequence = (this.#newest[lane] ?? 0) + 1;
    this.#newest[lane] = laneSequence;
    const record = { publication, sequence: ++this.#sequence, lane, laneSequence };
    this.#lanes[lane]?.push(record);
    for (const listener of this.#listeners) listener(() => [record]);
    return laneSequence;
  }

  backlogOf(lane: number): number {
    return this.#lanes[lane]?.length ?? 0;
  }

  priorityOf(lane: number): 'high' | 'normal' | 'bulk' {
    if (lane === this.laneCount - 2) return 'high';
    return lane === this.laneCount - 1 ? 'bulk' : 'normal';
  }

  stageOf(lane: number, laneSequence: number): 'spooled' | 'sent' | 'acknowledged' | null {
    if (laneSequence > this.newestOf(lane)) return null;
    if (laneSequence <= this.acknowledgedOf(lane)) return 'acknowledged';
    return laneSequence <= this.sentThrough(lane) ? 'sent' : 'spooled';
  }

  get laneCount(): number {
    return this.#map.laneCount;
  }

  laneFor(topic: string): number {
    return this.#map.laneFor(topic);
  }

  oldestOf(lane: number): number {
    return this.#lanes[lane]?.[0]?.laneSequence ?? this.newestOf(lane) + 1;
  }

  newestOf(lane: number): number {
    return this.#newest[lane] ?? 0;
  }

  acknowledgedOf(lane: number): number {
    return this.oldestOf(lane) - 1;
  }

  /** It retains nothing. */
  resume(): void {}

  /** It holds nothing back. */
  onReleased(): void {}

  async *readLane(lane: number, fromLaneSequence: number): AsyncIterable<readonly UplinkRecord[]> {
    let next = fromLaneSequence;
    for (;;) {
      const records = this.#lanes[lane] ?? [];
      const chunk = records.filter((record) => record.laneSequence >= next).slice(0, chunkRecords);
      const last = chunk.at(-1);
      if (last === undefined) return;
      await new Promise((resolve) => setImmediate(resolve));
      this.readBack += chunk.length;
      next = last.laneSequence + 1;
      yield chunk;
    }
  }

  onUplink(listener: (records: () => readonly UplinkRecord[]) => void): void {
    this.#listeners.push(listener);
  }

  acknowledge(lane: number, throughLaneSequence: number): void {
    const records = this.#lanes[lane] ?? [];
    const kept = records.findIndex((record) => record.laneSequence > throughLaneSequence);
    records.splice(0, kept < 0 ? records.length : kept);
  }

  downlinkPosition(lane: number): { logEpoch: string; position: number } {
    return { logEpoch: this.#logEpoch, position: this.#positions[lane] ?? 0 };
  }

  sentThrough(lane: number): number {
    return this.#sent[lane] ?? 0;
  }

  noteSent(lane: number, throughLaneSequence: number): void {
    this.#sent[lane] = Math.max(this.sentThrough(lane), throughLaneSequence);
  }

  async renewEpoch(): Promise<void> {
    this.epoch = `${this.epoch}-renewed`;
  }

  startAt(at: { readonly logEpoch: string; readonly lanes: readonly LaneStart[] }): void {
    this.#logEpoch = at.logEpoch;
    for (const [lane, { position }] of at.lanes.slice(0, laneCount).entries()) {
      this.#positions[lane] = position;
    }
  }

  notePosition(lane: number, at: { readonly logEpoch: string; readonly position: number }): void {
    if (at.logEpoch !== this.#logEpoch) return;
    this.#positions[lane] = Math.max(this.#positions[lane] ?? 0, at.position);
  }

  get backlog(): number {
    return this.#lanes.reduce((sum, records) => sum + records.length, 0);
  }

  get bytes(): number {
    return 0;
  }
}
