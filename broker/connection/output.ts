/**
 * What waits to be written to one client. Everything that is appended during a turn of the event
 * loop leaves in one write at its end; while the socket is full it gathers here. Nobody waits for a
 * slow reader: `backlogBytes` tells the senders, who drop or queue.
 */
import type { Duplex } from 'node:stream';

/** Several small buffers are joined up to this size; larger sums are written as they are. */
const joinBytesMax = 64 * 1024;

/** What gathered is written in pieces of about this size, so that a slow reader's progress shows. */
const pieceBytes = 256 * 1024;

/** So many buffers that wait, or so many bytes of them, are joined: an acknowledgement's object is
 * larger than its bytes, and a view keeps the whole chunk that it was cut from. */
const looseMax = 256;
const looseBytesMax = 64 * 1024;

export interface OutputOptions {
  readonly backlogBytesMax: number;
  /** The socket takes bytes again and all that had gathered is written. */
  readonly onDrained: () => void;
}

/** Outputs with something to write at the end of this turn. */
const dirty = new Set<Output>();

function flushDirty(): void {
  const outputs = [...dirty];
  dirty.clear();
  for (const output of outputs) output.flush();
}

export class Output {
  readonly #socket: Duplex;
  readonly #options: OutputOptions;
  #parts: Buffer[] = [];
  #bytes = 0;
  /** How many at the head of `#parts` are joined already, and the bytes of the others. */
  #joined = 0;
  #looseBytes = 0;
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
    return this.#socket.writableLength + (this.#isBlocked ? this.#bytes : 0);
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
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
    if (this.#isBlocked) {
      this.#looseBytes += bytes.length;
      const loose = this.#parts.length - this.#joined;
      if (loose >= looseMax || this.#looseBytes >= looseBytesMax) this.#join();
      return;
    }
    if (this.#bytes > joinBytesMax) {
      // More would only gather here, and look like the backlog of a slow reader.
      this.flush();
      return;
    }
    if (dirty.size === 0) setImmediate(flushDirty);
    dirty.add(this);
  }

  flush(): void {
    while (!this.#isBlocked && this.#parts.length > 0 && !this.#socket.destroyed) {
      if (this.#write(this.#takePiece())) continue;
      this.#isBlocked = true;
      this.#blockedSince = performance.now();
    }
  }

  discard(): void {
    dirty.delete(this);
    this.#clear();
  }

  #clear(): void {
    this.#parts = [];
    this.#bytes = 0;
    this.#joined = 0;
    this.#looseBytes = 0;
  }

  #join(): void {
    const loose = this.#parts.length - this.#joined;
    if (loose > 1) this.#parts.push(Buffer.concat(this.#parts.splice(this.#joined)));
    this.#joined++;
    this.#looseBytes = 0;
  }

  #takePiece(): { parts: readonly Buffer[]; bytes: number } {
    if (this.#bytes <= pieceBytes) {
      const all = { parts: this.#parts, bytes: this.#bytes };
      this.#clear();
      return all;
    }
    let count = 0;
    let bytes = 0;
    for (const part of this.#parts) {
      if (count > 0 && bytes + part.length > pieceBytes) break;
      count++;
      bytes += part.length;
    }
    const parts = this.#parts.splice(0, count);
    this.#bytes -= bytes;
    this.#joined = Math.max(0, this.#joined - count);
    return { parts, bytes };
  }

  #write({ parts, bytes }: { parts: readonly Buffer[]; bytes: number }): boolean {
    const socket = this.#socket;
    if (parts.length === 1) return socket.write(parts[0]);
    if (bytes <= joinBytesMax) return socket.write(Buffer.concat(parts, bytes));
    socket.cork();
    let isTaking = true;
    for (const part of parts) isTaking = socket.write(part);
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
