/** Growing waits between tries, with jitter so that many open pages do not come back together. */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  #stepMs: number;

  constructor(options: { firstMs: number; maxMs: number }) {
    this.#firstMs = options.firstMs;
    this.#maxMs = options.maxMs;
    this.#stepMs = options.firstMs;
  }

  next(): number {
    const step = this.#stepMs;
    this.#stepMs = Math.min(this.#maxMs, step * 2);
    return step * (0.75 + Math.random() / 4);
  }

  reset(): void {
    this.#stepMs = this.#firstMs;
  }
}
