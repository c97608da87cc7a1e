/**
 * Whether the peer of a stream still speaks, and whether it is time to say something to it. Asked
 * on a timer of `livenessTickMs`; both ends of every trunk stream keep one.
 */
import type { Clock } from './clock.ts';
import { heartbeatsMissedMax } from './limits.ts';

export type LivenessVerdict = 'fine' | 'speak' | 'dead';

/** Twice a heartbeat, so that silence is noticed at most half a heartbeat late. */
export function livenessTickMs(heartbeatMs: number): number {
  return heartbeatMs / 2;
}

export class Liveness {
  readonly #clock: Clock;
  readonly #heartbeatMs: number;
  #heardAt: number;
  #saidAt: number;
  #tickedAt: number;

  constructor(clock: Clock, heartbeatMs: number) {
    this.#clock = clock;
    this.#heartbeatMs = heartbeatMs;
    this.#heardAt = clock.elapsed();
    this.#saidAt = this.#heardAt;
    this.#tickedAt = this.#heardAt;
  }

  heard(): void {
    this.#heardAt = this.#clock.elapsed();
  }

  said(): void {
    this.#saidAt = this.#clock.elapsed();
  }

  tick(): LivenessVerdict {
    const now = this.#clock.elapsed();
    // A process that itself stood still must first read what came meanwhile.
    if (now - this.#tickedAt > this.#heartbeatMs * 2) this.#heardAt = now;
    this.#tickedAt = now;
    const patienceMs = this.#heartbeatMs * (heartbeatsMissedMax + 0.25);
    if (now - this.#heardAt > patienceMs) return 'dead';
    // A tick that comes a little early must not skip a whole turn.
    return now - this.#saidAt >= this.#heartbeatMs * 0.9 ? 'speak' : 'fine';
  }
}
