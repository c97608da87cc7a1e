/**
 * How long the backlog will last: how fast it shrinks, smoothed, against how much of it there is.
 * Looked at on the link's tick.
 */
import type { Clock } from '../base/clock.ts';
import type { UplinkLog } from './ports.ts';

export interface Replay {
  /** Publications on disk that the core has not made durable. */
  readonly backlog: number;
  /** Publications that the core makes durable in a second, smoothed. */
  readonly ratePerSecond: number;
  /** 0 when there is no backlog, or it does not shrink, or that is not known yet. */
  readonly emptyInSeconds: number;
}

/** Of each look, the share that counts: half of a change shows after three looks. */
const newShare = 0.25;

export class ReplayMeter {
  readonly #clock: Clock;
  readonly #spool: UplinkLog;
  #at: number;
  #acknowledged: number;
  #backlog: number;
  #ratePerSecond: number | null = null;
  #shrinkPerSecond = 0;

  constructor(clock: Clock, spool: UplinkLog) {
    this.#clock = clock;
    this.#spool = spool;
    this.#at = clock.elapsed();
    this.#acknowledged = this.#acknowledgedNow();
    this.#backlog = spool.backlog;
  }

  look(): void {
    const now = this.#clock.elapsed();
    const seconds = (now - this.#at) / 1_000;
    if (seconds <= 0) return;
    const acknowledged = this.#acknowledgedNow();
    const { backlog } = this.#spool;
    const rate = Math.max(0, acknowledged - this.#acknowledged) / seconds;
    const shrink = (this.#backlog - backlog) / seconds;
    const share = this.#ratePerSecond === null ? 1 : newShare;
    this.#ratePerSecond = smoothed(this.#ratePerSecond ?? 0, rate, share);
    this.#shrinkPerSecond = smoothed(this.#shrinkPerSecond, shrink, share);
    this.#at = now;
    this.#acknowledged = acknowledged;
    this.#backlog = backlog;
  }

  get replay(): Replay {
    const { backlog } = this.#spool;
    const isShrinking = backlog > 0 && this.#shrinkPerSecond > 0;
    return {
      backlog,
      ratePerSecond: Math.round(this.#ratePerSecond ?? 0),
      emptyInSeconds: isShrinking ? Math.ceil(backlog / this.#shrinkPerSecond) : 0,
    };
  }

  #acknowledgedNow(): number {
    let sum = 0;
    for (let lane = 0; lane < this.#spool.laneCount; lane++) {
      sum += this.#spool.acknowledgedOf(lane);
    }
    return sum;
  }
}

function smoothed(before: number, now: number, share: number): number {
  return before + (now - before) * share;
}
