/**
 * What waits to be written to one client. Everything that is appended during a turn of the event
 * loop leaves in one write at its end; while the socket is full it gathers here. Nobody waits for a
 * slow reader: `backlogBytes` tells the senders, who drop or queue.
 */
import type { Duplex } from 'node:stream';

/** Several small buffers are joined up to this size; larger sums are written as they are. */
const joinBytesMax = 64 * 1024;

/** Outputs with something to write at the end of this turn. */
const dirty = new Set<Output>();

function flushDirty(): void {
  const outputs = [...dirty];
  dirty.clear();
  for (const output of outputs) output.flush();
}

export class Output {
  readonly #socket: Duplex;
  readonly #onDrained: () => void;
  #parts: Buffer[] = [];
  #bytes = 0;
  #isBlocked = false;
  /** `performance.now()` when the socket filled up; 0 while it drains. */
  #blockedSince = 0;

  constructor(socket: Duplex, onDrained: () => void) {
    this.#socket = socket;
    this.#onDrained = onDrained;
    socket.on('drain', () => this.#drained());
  }

  /** Bytes that the peer has not taken. */
  get backlogBytes(): number {
    return this.#bytes + this.#socket.writableLength;
  }

  /** Milliseconds since the peer stopped taking bytes; 0 while it takes them. */
  blockedMs(now: number): number {
    return this.#isBlocked ? now - this.#blockedSince : 0;
  }

  append(bytes: Buffer): void {
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
    if (this.#isBlocked) return;
    if (this.#bytes > joinBytesMax) {
      // More would only gather here, and look like the backlog of a slow reader.
      this.flush();
      return;
    }
    if (dirty.size === 0) setImmediate(flushDirty);
    dirty.add(this);
  }

  flush(): void {
    if (this.#isBlocked || this.#parts.length === 0 || this.#socket.destroyed) return;
    const parts = this.#parts;
    const bytes = this.#bytes;
    this.#parts = [];
    this.#bytes = 0;
    if (!this.#write(parts, bytes)) {
      this.#isBlocked = true;
      this.#blockedSince = performance.now();
    }
  }

  discard(): void {
    dirty.delete(this);
    this.#parts = [];
    this.#bytes = 0;
  }

  #write(parts: readonly Buffer[], bytes: number): boolean {
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
    if (!this.#isBlocked) this.#onDrained();
  }
}
