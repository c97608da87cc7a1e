/**
 * The spool as the lanes see it: durable records that go up, in the order of their lane, what the
 * core has acknowledged of them, and where the downlink stands.
 */
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UplinkLog, UplinkRecord } from './ports.ts';
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
  readonly epoch: string;
  readonly #lanes: SpoolLanes;
  readonly #segments: SpoolSegments;
  readonly #hooks: SpoolUplinkHooks;
  readonly #listeners: ((records: readonly UplinkRecord[]) => void)[] = [];

  constructor(
    epoch: string,
    of: { readonly lanes: SpoolLanes; readonly segments: SpoolSegments },
    hooks: SpoolUplinkHooks,
  ) {
    this.epoch = epoch;
    this.#lanes = of.lanes;
    this.#segments = of.segments;
    this.#hooks = hooks;
  }

  get backlog(): number {
    return this.#lanes.backlog;
  }

  get bytes(): number {
    return this.#segments.bytes;
  }

  onUplink(listener: (records: readonly UplinkRecord[]) => void): void {
    this.#listeners.push(listener);
  }

  /** These records have just become durable. */
  announce(records: readonly UplinkRecord[]): void {
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

  notePosition(lane: number, at: { readonly logEpoch: string; readonly position: number }): void {
    this.adoptLog(at.logEpoch);
    if (this.#lanes.notePosition(lane, at.position)) this.#hooks.positionMoved();
  }

  adoptLog(logEpoch: string): void {
    if (this.#lanes.adoptLog(logEpoch)) this.#hooks.newLog();
  }
}

/** The spool's identity: made once per folder, because sequences start anew with a new one. */
export async function epochOf(directory: string): Promise<string> {
  const file = join(directory, 'epoch');
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch {
    const epoch = randomUUID();
    await writeFile(file, epoch, { flush: true });
    return epoch;
  }
}
