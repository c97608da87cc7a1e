/**
 * Writes to a gRPC stream at its reader's pace, and says when the reader has not read for too long.
 * A write is never lost: the stream keeps it; whoever writes asks `isBlocked` before the next.
 */
import type { Clock } from '../../base/clock.ts';

/** How long a reader may leave its bytes unread, as for devices of the broker. */
const stallMs = 30_000;

interface WritableCall<Message> {
  write(message: Message): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

export interface PacedOptions {
  readonly onDrain: () => void;
  readonly onStall: () => void;
}

export class PacedOutput<Message> {
  readonly #call: WritableCall<Message>;
  readonly #clock: Clock;
  readonly #options: PacedOptions;
  #cancelStall: (() => void) | null = null;
  #isClosed = false;

  constructor(parts: { call: WritableCall<Message>; clock: Clock }, options: PacedOptions) {
    this.#call = parts.call;
    this.#clock = parts.clock;
    this.#options = options;
  }

  get isBlocked(): boolean {
    return this.#cancelStall !== null;
  }

  write(message: Message): void {
    if (this.#isClosed || this.#call.write(message) || this.isBlocked) return;
    this.#cancelStall = this.#clock.after(stallMs, () => this.#options.onStall());
    this.#call.once('drain', () => this.#resume());
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelStall?.();
  }

  #resume(): void {
    this.#cancelStall?.();
    this.#cancelStall = null;
    if (!this.#isClosed) this.#options.onDrain();
  }
}
