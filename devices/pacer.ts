/**
 * How many messages are due by now, at a steady rate counted from the elapsed time: a late tick
 * sends what it missed, so the rate holds whatever the timer does. One pacer serves a whole fleet.
 */
export class Pacer {
  readonly #perSecond: number;
  readonly #startedAt: number;
  readonly #totalMax: number;
  #taken = 0;

  /** Without `totalMax` there is no end. */
  constructor(options: { perSecond: number; startedAt: number; totalMax?: number | undefined }) {
    this.#perSecond = options.perSecond;
    this.#startedAt = options.startedAt;
    this.#totalMax = options.totalMax ?? Number.POSITIVE_INFINITY;
  }

  /**
   * What is due and not yet taken, at most one second's worth: after a long standstill the rest is
   * forgone, since a burst of it would measure the standstill and not the broker.
   */
  take(elapsed: number): number {
    const byNow = Math.floor(((elapsed - this.#startedAt) * this.#perSecond) / 1000);
    const due = Math.min(byNow, this.#totalMax) - this.#taken;
    if (due <= 0) return 0;
    this.#taken += due;
    return Math.min(due, Math.max(1, Math.ceil(this.#perSecond)));
  }
}
