/**
 * One file of the spool: a header, then records. The name and the header carry the sequence of the
 * first record; sequences count up by one. Only the newest segment is written; a sparse index finds
 * a record without holding an offset for each.
 */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { TrunklineError } from '../base/errors.ts';
import { recordBytesMax, recordEnd } from './spool-frame.ts';
import { decodeRecords, type SpoolRecord } from './spool-record.ts';

const magic = Buffer.from('TLSPOOL1');
const headerBytes = 16;

/** Every so many sequences one offset is kept: 64 records are read in one go at about 10 KiB. */
const indexStride = 64;

/** Bytes of the first read of a scan, which is enough for one record, and of those that follow. */
const firstReadBytes = 64 * 1024;
const readBytes = 1024 * 1024;

export interface ScannedRecord {
  readonly sequence: number;
  readonly record: SpoolRecord;
}

/** A record on its way to the disk. */
export interface EncodedRecord {
  readonly bytes: Buffer;
  /** Sequences that it takes. */
  readonly count: number;
}

export class SpoolSegment {
  readonly firstSequence: number;
  readonly #file: string;
  readonly #handle: FileHandle;
  /** Where some of the records begin, about one in 64 sequences: sequence and offset. */
  readonly #index: { readonly sequence: number; readonly offset: number }[] = [];
  #count = 0;
  #bytes = headerBytes;

  private constructor(file: string, handle: FileHandle, firstSequence: number) {
    this.#file = file;
    this.#handle = handle;
    this.firstSequence = firstSequence;
  }

  static nameOf(firstSequence: number): string {
    return `${String(firstSequence).padStart(16, '0')}.spool`;
  }

  static async create(directory: string, firstSequence: number): Promise<SpoolSegment> {
    const file = join(directory, SpoolSegment.nameOf(firstSequence));
    const handle = await open(file, 'w+');
    const header = Buffer.alloc(headerBytes);
    magic.copy(header);
    header.writeBigUInt64LE(BigInt(firstSequence), 8);
    try {
      await handle.write(header, 0, headerBytes, 0);
      await handle.datasync();
      await syncDirectory(directory);
    } catch (error) {
      await handle.close();
      throw error;
    }
    return new SpoolSegment(file, handle, firstSequence);
  }

  /**
   * Opens a segment of an earlier run and indexes it up to its last whole record, or up to where
   * the next segment begins: after a failed write the same sequences were written again there.
   * Throws `spool-corrupt` when it is not a segment.
   */
  static async recover(
    directory: string,
    name: string,
    options: { stopSequence: number; visit: (scanned: ScannedRecord) => void },
  ): Promise<SpoolSegment> {
    const file = join(directory, name);
    const handle = await open(file, 'r+');
    const header = Buffer.alloc(headerBytes);
    await handle.read(header, 0, headerBytes, 0);
    const { size } = await handle.stat();
    // The process or the machine stopped while it was being created: nothing was written to it yet.
    const isUnfinished = size < headerBytes || header.every((byte) => byte === 0);
    if (isUnfinished && size <= headerBytes)
      return new SpoolSegment(file, handle, Number.parseInt(name, 10));
    if (!header.subarray(0, magic.length).equals(magic)) {
      await handle.close();
      throw new TrunklineError(
        'spool-corrupt',
        `Spool segment ${file} has no valid header. Move it away to start without its messages, or restore it from a backup.`,
      );
    }
    const segment = new SpoolSegment(file, handle, Number(header.readBigUInt64LE(8)));
    await segment.#scan(headerBytes, (scanned, start, end) => {
      if (scanned.sequence >= options.stopSequence) return false;
      // A run's publications all begin at the same place.
      if (start >= segment.#bytes) segment.#note(scanned.sequence, start);
      segment.#count++;
      segment.#bytes = end;
      options.visit(scanned);
      return true;
    });
    return segment;
  }

  /** The sequence after the last record. */
  get nextSequence(): number {
    return this.firstSequence + this.#count;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Writes whole records, which `block` has one behind the other, behind the last durable one and
   * makes them durable. */
  async append(
    records: readonly EncodedRecord[],
    { block, isSynced }: { readonly block: Buffer; readonly isSynced: boolean },
  ): Promise<void> {
    let written = 0;
    while (written < block.length) {
      const left = block.length - written;
      const result = await this.#handle.write(block, written, left, this.#bytes + written);
      written += result.bytesWritten;
    }
    if (isSynced) await this.#handle.datasync();
    for (const record of records) {
      this.#note(this.nextSequence, this.#bytes);
      this.#count += record.count;
      this.#bytes += record.bytes.length;
    }
  }

  /** Calls `visit` with records from a sequence on until it answers false or the segment ends. */
  async scanFrom(sequence: number, visit: (scanned: ScannedRecord) => boolean): Promise<void> {
    if (sequence >= this.nextSequence) return;
    const from = this.#indexed(sequence);
    await this.#scan(
      from.offset,
      (scanned) => scanned.sequence < sequence || visit(scanned),
      from.sequence,
    );
  }

  async remove(): Promise<void> {
    await this.#handle.close();
    await unlink(this.#file);
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  #note(sequence: number, offset: number): void {
    const last = this.#index.at(-1);
    if (last !== undefined && sequence - last.sequence < indexStride) return;
    this.#index.push({ sequence, offset });
  }

  /** The last noted place at or before the sequence, by bisection. */
  #indexed(sequence: number): { sequence: number; offset: number } {
    let low = 0;
    let high = this.#index.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#index[middle]?.sequence ?? 0) <= sequence) low = middle + 1;
      else high = middle;
    }
    return this.#index[low - 1] ?? { sequence: this.firstSequence, offset: headerBytes };
  }

  async #scan(
    offset: number,
    visit: (scanned: ScannedRecord, start: number, end: number) => boolean,
    firstSequence = this.firstSequence,
  ): Promise<void> {
    let at = offset;
    let sequence = firstSequence;
    let size = firstReadBytes;
    const isRecovery = this.#count === 0;
    const stop = isRecovery ? Number.POSITIVE_INFINITY : this.#bytes;
    while (at < stop) {
      const block = Buffer.allocUnsafe(Math.min(size, stop - at));
      const { bytesRead } = await this.#handle.read(block, 0, block.length, at);
      const bytes = block.subarray(0, bytesRead);
      const { end: local, next } = visitAll(bytes, sequence, (scanned, start, end) =>
        visit(scanned, at + start, at + end),
      );
      if (next === null) return;
      sequence = next;
      at += local;
      if (local > 0) {
        size = Math.max(size, readBytes);
        continue;
      }
      // Nothing whole in the block: it ends here, or the record is larger than the block.
      if (bytesRead < size || size > recordBytesMax) return;
      size *= 8;
    }
  }
}

/** Visits every whole record in the bytes; answers where they end and which sequence is next, or
 * null when the visitor has had enough. */
function visitAll(
  bytes: Buffer,
  firstSequence: number,
  visit: (scanned: ScannedRecord, start: number, end: number) => boolean,
): { readonly end: number; readonly next: number | null } {
  let at = 0;
  let sequence = firstSequence;
  for (let end = recordEnd(bytes, 0); end !== null; end = recordEnd(bytes, at)) {
    for (const record of decodeRecords(bytes, at, end)) {
      if (!visit({ sequence, record }, at, end)) return { end: at, next: null };
      sequence++;
    }
    at = end;
  }
  return { end: at, next: sequence };
}

/** Makes a new name in the folder durable. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
