/**
 * The segments of the spool in order: found on start, written at the end, read anywhere, freed from
 * the front.
 */
import { readdir } from 'node:fs/promises';
import { type EncodedRecord, type ScannedRecord, SpoolSegment } from './spool-segment.ts';
import { WriteStaging } from './write-staging.ts';

const segmentBytesMax = 64 * 1024 * 1024;

/** A small spool has small segments: only whole ones are freed, and the one being written is not. */
const segmentsMin = 8;

/** Records handed out at once by a reader. */
const chunkRecords = 500;

export class SpoolSegments {
  readonly #directory: string;
  readonly #bytesMax: number;
  readonly #segmentBytes: number;
  readonly #isSynced: boolean;
  readonly #staging = new WriteStaging();
  readonly #segments: SpoolSegment[] = [];

  constructor(options: {
    readonly directory: string;
    readonly bytesMax: number;
    /** Every write waits for the disk; else for the operating system only. */
    readonly isSynced: boolean;
  }) {
    this.#isSynced = options.isSynced;
    this.#directory = options.directory;
    this.#bytesMax = options.bytesMax;
    this.#segmentBytes = Math.min(segmentBytesMax, options.bytesMax / segmentsMin);
  }

  get bytes(): number {
    return this.#segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  /** The first sequence of the segment being written. */
  get activeFrom(): number {
    return this.#segments.at(-1)?.firstSequence ?? 1;
  }

  /** Room for one more segment below the bound. */
  get bytesBeforeFull(): number {
    return this.#bytesMax - this.#segmentBytes;
  }

  get count(): number {
    return this.#segments.length;
  }

  /**
   * Opens what earlier runs left and visits every whole record; answers the next free sequence, and
   * how many records are missing between those that are there.
   * This run writes to a segment of its own: a torn tail stays behind in the old one.
   */
  async recover(
    visit: (scanned: ScannedRecord) => void,
    begin: (firstSequence: number) => void,
  ): Promise<{ nextSequence: number; lost: number }> {
    let nextSequence = 1;
    let lost = 0;
    const names = (await readdir(this.#directory)).filter((name) => name.endsWith('.spool')).sort();
    for (const [index, name] of names.entries()) {
      const next = names[index + 1];
      const stopSequence =
        next === undefined ? Number.POSITIVE_INFINITY : Number.parseInt(next, 10);
      begin(Number.parseInt(name, 10));
      const segment = await SpoolSegment.recover(this.#directory, name, { stopSequence, visit });
      if (index > 0) lost += Math.max(0, segment.firstSequence - nextSequence);
      nextSequence = Math.max(nextSequence, segment.nextSequence);
      if (segment.isEmpty) await segment.remove();
      else this.#segments.push(segment);
    }
    await this.startAfresh(nextSequence);
    return { nextSequence, lost };
  }

  /** Whether a write would go to a new segment. */
  get isFull(): boolean {
    return (this.#segments.at(-1)?.bytes ?? 0) >= this.#segmentBytes;
  }

  /** The next write goes to a new segment, which begins with this sequence. */
  async startAfresh(firstSequence: number): Promise<void> {
    const last = this.#segments.at(-1);
    if (last?.isEmpty === true && last.firstSequence === firstSequence) return;
    this.#segments.push(await SpoolSegment.create(this.#directory, firstSequence));
  }

  /** Appends, and makes durable where that is asked for. */
  async write(records: readonly EncodedRecord[]): Promise<void> {
    const block = this.#staging.join(records);
    const isSynced = this.#isSynced;
    await (this.#segments.at(-1) as SpoolSegment).append(records, { block, isSynced });
  }

  /** The segments, oldest first, that hold nothing from `lowest` on; never the last. */
  before(lowest: number): { readonly end: number; readonly bytes: number }[] {
    const found: { end: number; bytes: number }[] = [];
    for (const [index, { bytes }] of this.#segments.entries()) {
      const end = this.#segments[index + 1]?.firstSequence ?? Number.POSITIVE_INFINITY;
      if (end > lowest) break;
      found.push({ end, bytes });
    }
    return found;
  }

  /** Frees the oldest segment. */
  async freeOldest(): Promise<void> {
    await this.#segments.shift()?.remove();
  }

  /** Visits the record of this sequence and those after it until `visit` answers false. */
  async scanFrom(sequence: number, visit: (scanned: ScannedRecord) => boolean): Promise<void> {
    const segment = this.#segments.findLast((one) => one.firstSequence <= sequence);
    await (segment ?? this.#segments[0])?.scanFrom(sequence, visit);
  }

  /** Records from a sequence on up to and including `end`, in order, in chunks. */
  async *chunks(fromSequence: number, end: number): AsyncIterable<readonly ScannedRecord[]> {
    let next = fromSequence;
    while (next <= end) {
      const chunk: ScannedRecord[] = [];
      await this.scanFrom(next, (scanned) => {
        if (scanned.sequence > end) return false;
        chunk.push(scanned);
        return chunk.length < chunkRecords;
      });
      const last = chunk.at(-1);
      if (last !== undefined) {
        yield chunk;
        next = last.sequence + 1;
        continue;
      }
      const following = this.#segments.find((one) => one.firstSequence > next);
      if (following === undefined) return;
      next = following.firstSequence;
    }
  }

  async close(): Promise<void> {
    for (const segment of this.#segments.splice(0)) await segment.close();
  }
}
