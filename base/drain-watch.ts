/**
 * Whether a stream that takes nothing more has been so for too long. Only the time in which not a
 * single message went out counts: a slow peer is no dead one.
 */
import type { Clock } from './clock.ts';
import { drainMs } from './limits.ts';

export class DrainWatch {
  readonly #clock: Clock;
  readonly #ms: number;
  /** Since when it is full, or since a message last went out of it; null while it takes more. */
  #since: number | null = null;

  constructor(clock: Clock, ms: number = drainMs) {
    this.#clock = clock;
    this.#ms = ms;
  }

  /** What the stream answered to a write. */
  wrote(isWritable: boolean): void {
    if (isWritable) this.#since = null;
    else this.#since ??= this.#clock.elapsed();
  }

  /** A message went out. */
  moved(): void {
    if (this.#since !== null) this.#since = this.#clock.elapsed();
  }

  drained(): void {
    this.#since = null;
  }

  get isOverdue(): boolean {
    return this.#since !== null && this.#clock.elapsed() - this.#since > this.#ms;
  }
}
