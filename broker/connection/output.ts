/**
 * What waits to be written to one client. Everything that is appended during a turn of the event
 * loop leaves in one write at its end; while the socket is full it gathers here. Nobody waits for a
 * slow reader: `backlogBytes` tells the senders, who drop or queue.
 *
 * What waits is ranges of other people's buffers: nothing is copied until the write, and ranges that
 * touch are one.
 */
import type { Duplex } from 'node:stream';
import { reserve } from './arena.ts';
import { type Flushable, flushLater } from './flush-queue.ts';

/** Several small ranges are joined up to this size; larger sums are written as they are. */
const joinBytesMax = 64 * 1024;

/** What gathered is written in pieces of about this size, so that a slow reader's progress shows. */
const pieceBytes = 256 * 1024;

/** So many ranges that wait, or so many bytes of them, are joined: an acknowledgement's object is
 * larger than its bytes, and a range keeps the whole chunk that it was cut from. */
const looseMax = 256;
const looseBytesMax = 64 * 1024;

export interface OutputOptions {
  readonly backlogBytesMax: number;
  /** The socket takes bytes again and all that had gathered is written. */
  readonly onDrained: () => void;
}

interface Range {
  readonly buffer: Buffer;
  readonly start: number;
  end: number;
}

export class Output implements Flushable {
  flushedIn = 0;
  readonly #socket: Duplex;
  readonly #options: OutputOptions;
  #ranges: Range[] = [];
  #bytes = 0;
  /** Of all that was ever appended. */
  appendedBytes = 0;
  /** How many at the head of `#ranges` are joined already, and the bytes of the others. */
  #joined = 0;
  #looseBytes = 0;
  #isDirty = false;
  #isBlocked = false;
  /** `performance.now()` when the socket filled up; 0 while it drains. */
  #blockedSince = 0;

  constructor(socket: Duplex, options: OutputOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on('drain', () => this.#drained());
  }

  /** Bytes that the peer has not taken; what only waits for the end of the turn does not count. */
  get backlogBytes(): number {
    return this.#isBlocked ? this.#socket.writableLength + this.#bytes : 0;
  }

  /** The peer takes nothing and more is waiting for it than any sender should add to. */
  get isFull(): boolean {
    return this.#isBlocked && this.#bytes > this.#options.backlogBytesMax;
  }

  /** Milliseconds since the peer stopped taking bytes; 0 while it takes them. */
  blockedMs(now: number): number {
    return this.#isBlocked ? now - this.#blockedSince : 0;
  }

  append(bytes: Buffer): void {
    this.appendRange(bytes, 0, bytes.length);
  }

  /** `buffer[start, end)`, which must not change any more. */
  appendRange(buffer: Buffer, start: number, end: number): void {
    const last = this.#ranges.at(-1);
    if (last !== undefined && last.buffer === buffer && last.end === start) last.end = end;
    else this.#ranges.push({ buffer, start, end });
    this.#bytes += end - start;
    this.appendedBytes += end - start;
    if (this.#isBlocked) {
      this.#looseBytes += end - start;
      const loose = this.#ranges.length - this.#joined;
      if (loose >= looseMax || this.#looseBytes >= looseBytesMax) this.#join();
      return;
    }
    if (this.#bytes > joinBytesMax) {
      // More would only gather here, and look like the backlog of a slow reader.
      this.flush();
      return;
    }
    if (this.#isDirty) return;
    this.#isDirty = true;
    flushLater(this);
  }

  /** What was appended in this turn. */
  flushTurn(): void {
    this.#isDirty = false;
    this.flush();
  }

  flush(): void {
    while (!this.#isBlocked && this.#ranges.length > 0 && !this.#socket.destroyed) {
      if (this.#write(this.#takePiece())) continue;
      this.#isBlocked = true;
      this.#blockedSince = performance.now();
    }
  }

  discard(): void {
    this.#clear();
  }

  #clear(): void {
    this.#ranges = [];
    this.#bytes = 0;
    this.#joined = 0;
    this.#looseBytes = 0;
  }

  #join(): void {
    const loose = this.#ranges.splice(this.#joined);
    const bytes = loose.reduce((sum, { start, end }) => sum + end - start, 0);
    const buffer = Buffer.allocUnsafeSlow(bytes);
    copyAll(loose, buffer, 0);
    this.#ranges.push({ buffer, start: 0, end: bytes });
    this.#joined++;
    this.#looseBytes = 0;
  }

  #takePiece(): { ranges: readonly Range[]; bytes: number } {
    if (this.#bytes <= pieceBytes) {
      const all = { ranges: this.#ranges, bytes: this.#bytes };
      this.#clear();
      return all;
    }
    let count = 0;
    let bytes = 0;
    for (const { start, end } of this.#ranges) {
      if (count > 0 && bytes + end - start > pieceBytes) break;
      count++;
      bytes += end - start;
    }
    const ranges = this.#ranges.splice(0, count);
    this.#bytes -= bytes;
    this.#joined = Math.max(0, this.#joined - count);
    return { ranges, bytes };
  }

  #write({ ranges, bytes }: { ranges: readonly Range[]; bytes: number }): boolean {
    const socket = this.#socket;
    if (ranges.length === 1) {
      const { buffer, start, end } = ranges[0] as Range;
      return socket.write(buffer.subarray(start, end));
    }
    if (bytes <= joinBytesMax) {
      const { buffer, start } = reserve(bytes);
      copyAll(ranges, buffer, start);
      return socket.write(buffer.subarray(start, start + bytes));
    }
    socket.cork();
    let isTaking = true;
    for (const { buffer, start, end } of ranges)
      isTaking = socket.write(buffer.subarray(start, end));
    socket.uncork();
    return isTaking;
  }

  #drained(): void {
    if (!this.#isBlocked) return;
    this.#isBlocked = false;
    this.flush();
    if (!this.#isBlocked) this.#options.onDrained();
  }
}

function copyAll(ranges: readonly Range[], into: Buffer, start: number): void {
  let at = start;
  for (const range of ranges) at += range.buffer.copy(into, at, range.start, range.end);
}
