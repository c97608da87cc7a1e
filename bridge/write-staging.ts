/**
 * Where the records of one write are put side by side. The memory is used again for the next write:
 * a new block for each was measured to make the garbage collector stop the edge several times a
 * second under load.
 */
import type { EncodedRecord } from './spool-segment.ts';

const stagingBytesMin = 64 * 1024;
const stagingBytesMax = 1024 * 1024;

export class WriteStaging {
  #block = Buffer.alloc(0);

  /** Valid until the next call. */
  join(records: readonly EncodedRecord[]): Buffer {
    if (records.length === 1) return (records[0] as EncodedRecord).bytes;
    let bytes = 0;
    for (const record of records) bytes += record.bytes.length;
    const block = this.#roomFor(bytes);
    let at = 0;
    for (const record of records) at += record.bytes.copy(block, at);
    return block.subarray(0, bytes);
  }

  #roomFor(bytes: number): Buffer {
    if (bytes > stagingBytesMax) return Buffer.allocUnsafeSlow(bytes);
    if (bytes > this.#block.length) {
      let size = Math.max(stagingBytesMin, this.#block.length);
      while (size < bytes) size *= 2;
      this.#block = Buffer.allocUnsafeSlow(size);
    }
    return this.#block;
  }
}
