/**
 * Waiting times between tries: exponential with jitter, so that clients that lost one peer
 * together do not come back together.
 */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  readonly #floor: number;
  readonly #random: () => number;
  #tries = 0;

  /** `floor`: share of a step that is waited in any case; half of it when left out. */
  constructor(options: {
    firstMs: number;
    maxMs: number;
    floor?: number;
    random?: () => number;
  }) {
    this.#firstMs = options.firstMs;
    this.#maxMs = options.maxMs;
    this.#floor = options.floor ?? 0.5;
    this.#random = options.random ?? Math.random;
  }

  /** Milliseconds to wait before the next try. */
  next(): number {
    const step = Math.min(this.#maxMs, this.#firstMs * 2 ** this.#tries);
    if (step < this.#maxMs) this.#tries++;
    return step * (this.#floor + this.#random() * (1 - this.#floor));
  }

  /** After a success. */
  reset(): void {
    this.#tries = 0;
  }
}
