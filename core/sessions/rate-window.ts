/** Messages a second over the last ten seconds, from totals that an edge reports now and then. */

const windowMs = 10_000;

/** A sender that reports more often than this allows only makes the window shorter. */
const samplesMax = 64;

export interface Totals {
  readonly received: number;
  readonly delivered: number;
}

interface Sample extends Totals {
  readonly at: number;
}

export class RateWindow {
  #samples: Sample[] = [];

  /** `at` is monotonic time. Totals that fall mean that the sender started anew. */
  record(at: number, totals: Totals): void {
    const last = this.#samples.at(-1);
    if (
      last !== undefined &&
      (totals.received < last.received || totals.delivered < last.delivered)
    )
      this.#samples = [];
    this.#samples.push({ at, ...totals });
    // The newest sample that is a whole window old is the base; older ones are of no use.
    while ((this.#samples[1]?.at ?? at) <= at - windowMs || this.#samples.length > samplesMax) {
      this.#samples.shift();
    }
  }

  /** 0 until two reports came, and when none came for a whole window. */
  rates(now: number): Totals {
    const base = this.#samples[0];
    const last = this.#samples.at(-1);
    if (base === undefined || last === undefined || last === base || now - last.at > windowMs) {
      return { received: 0, delivered: 0 };
    }
    const seconds = (last.at - base.at) / 1000;
    if (seconds <= 0) return { received: 0, delivered: 0 };
    return {
      received: (last.received - base.received) / seconds,
      delivered: (last.delivered - base.delivered) / seconds,
    };
  }

  clear(): void {
    this.#samples = [];
  }
}
