/**
 * Bytes of one lane that are sent and not yet acknowledged. Credits bound them by the core's memory;
 * this bounds them by time: where answers come late because much is under way already, less is put
 * under way, so that a backlog does not fill the link with minutes of itself in front of what is live.
 */
import type { Clock } from './clock.ts';
import {
  laneCreditBytes,
  underwayBytesFirst,
  underwayBytesMin,
  underwaySlackMs,
} from './limits.ts';

interface Sent {
  readonly through: number;
  readonly bytes: number;
  readonly at: number;
}

export class SendWindow {
  readonly #clock: Clock;
  #sent: Sent[] = [];
  #bytes = 0;
  #bytesMax = underwayBytesFirst;
  /** The soonest answer so far: the way there and back, and a commit. */
  #soonestMs = Number.POSITIVE_INFINITY;
  /** What was sent before it became smaller says nothing of the smaller one. */
  #judgesAfter = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Soft: one batch may overstep it. */
  get isFull(): boolean {
    return this.#bytes >= this.#bytesMax;
  }

  get bytesMax(): number {
    return this.#bytesMax;
  }

  sent(through: number, bytes: number): void {
    this.#sent.push({ through, bytes, at: this.#clock.elapsed() });
    this.#bytes += bytes;
  }

  acknowledged(through: number): void {
    const count = this.#sent.findIndex((one) => one.through > through);
    const done = this.#sent.splice(0, count < 0 ? this.#sent.length : count);
    const last = done.at(-1);
    if (last === undefined) return;
    const wasBusy = this.#bytes * 2 > this.#bytesMax;
    let bytes = 0;
    for (const one of done) bytes += one.bytes;
    this.#bytes -= bytes;
    const lateMs = this.#clock.elapsed() - last.at;
    this.#soonestMs = Math.min(this.#soonestMs, lateMs);
    if (lateMs > this.#soonestMs * 2 + underwaySlackMs) this.#shrink(last);
    else if (wasBusy) this.#bytesMax = Math.min(laneCreditBytes, this.#bytesMax + bytes);
  }

  #shrink(last: Sent): void {
    if (last.through <= this.#judgesAfter) return;
    this.#bytesMax = Math.max(underwayBytesMin, this.#bytesMax * 0.75);
    this.#judgesAfter = this.#sent.at(-1)?.through ?? last.through;
  }
}
