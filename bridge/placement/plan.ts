/** One thing that is to happen at its moment; a new plan takes the place of the last. */
import type { Clock } from '../../base/clock.ts';

export class Plan {
  readonly #clock: Clock;
  #cancel: (() => void) | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isSet(): boolean {
    return this.#cancel !== null;
  }

  set(ms: number, work: () => void): void {
    this.cancel();
    this.#cancel = this.#clock.after(ms, () => {
      this.#cancel = null;
      work();
    });
  }

  cancel(): void {
    this.#cancel?.();
    this.#cancel = null;
  }
}
