/**
 * What meets a bound of the configuration: one counter for each, and a line in the log that says so,
 * not one for each time.
 */
import type { Clock } from '../base/clock.ts';
import type { Limits } from '../base/config.ts';
import type { Logger } from '../base/log.ts';
import type { CounterFamily, Metrics } from '../base/metrics.ts';

export type LimitName = keyof Limits;

/** Between two lines about one bound. */
const lineMs = 5_000;

interface Told {
  at: number;
  count: number;
}

export class LimitBook {
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #met: CounterFamily;
  readonly #told = new Map<LimitName, Told>();

  constructor({ log, clock, metrics }: { log: Logger; clock: Clock; metrics: Metrics }) {
    this.#log = log;
    this.#clock = clock;
    this.#met = metrics.counters(
      'trunkline_limits_met_total',
      'Times that a client met a bound of `limits`, by setting.',
      'limit',
    );
  }

  met(limit: LimitName, fields: Readonly<Record<string, string | number>> = {}): void {
    this.#met.by(limit).add();
    const now = this.#clock.elapsed();
    const told = this.#told.get(limit) ?? { at: Number.NEGATIVE_INFINITY, count: 0 };
    this.#told.set(limit, told);
    told.count++;
    if (now < told.at + lineMs) return;
    this.#log.warn({ ...fields, limit, count: told.count }, 'limit met');
    told.at = now;
    told.count = 0;
  }
}
