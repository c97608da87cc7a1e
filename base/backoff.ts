/**
 * Waiting times between tries: exponential with full jitter, so that clients that lost one peer
 * together do not come back together.
 */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #tries = 0;

  constructor(options: { firstMs: number; maxMs: number; random?: () => number }) {
    this.#firstMs = options.firstMs;
    this.#maxMs = options.maxMs;
    this.#random = options.random ?? Math.random;
  }

  /** Milliseconds to wait before the next try; at least half of the present step. */
  next(): number {
    const step = Math.min(this.#maxMs, this.#firstMs * 2 ** this.#tries);
    if (step < this.#maxMs) this.#tries++;
    return step * (0.5 + this.#random() / 2);
  }

  /** After a success. */
  reset(): void {
    this.#tries = 0;
  }
}
