/**
 * So many a second, and a number at once after a quiet time. Who is refused is told when to come
 * again: each later than the one before, so that those who were refused together come one by one.
 */
import type { Clock } from '../../base/clock.ts';

export interface TokenBucketOptions {
  readonly perSecond: number;
  readonly burst: number;
  /** The longest that anybody is told to wait. */
  readonly waitMsMax: number;
}

export class TokenBucket {
  readonly #clock: Clock;
  readonly #options: TokenBucketOptions;
  #tokens: number;
  /** Turns that were promised and are not over yet. */
  #promised = 0;
  #filledAt: number;

  constructor(clock: Clock, options: TokenBucketOptions) {
    this.#clock = clock;
    this.#options = options;
    this.#tokens = options.burst;
    this.#filledAt = clock.elapsed();
  }

  /** 0 when there is one to take; else the milliseconds after which there should be. */
  take(): number {
    this.#fill();
    const { perSecond, waitMsMax } = this.#options;
    if (this.#tokens >= 1) {
      this.#tokens--;
      return 0;
    }
    const waitMs = ((this.#promised + 1 - this.#tokens) / perSecond) * 1_000;
    if (waitMs <= waitMsMax) this.#promised++;
    return Math.max(1, Math.min(waitMs, waitMsMax));
  }

  #fill(): void {
    const { perSecond, burst } = this.#options;
    const now = this.#clock.elapsed();
    const fresh = ((now - this.#filledAt) / 1_000) * perSecond;
    this.#filledAt = now;
    this.#tokens = Math.min(burst, this.#tokens + fresh);
    this.#promised = Math.max(0, this.#promised - fresh);
  }
}
