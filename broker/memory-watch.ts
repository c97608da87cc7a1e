/**
 * How near the process is to the memory that it may have, and what gives way, in this order:
 *
 * 1. `closed`: nobody new is let in (four fifths of the bound);
 * 2. `shedding`: those who leave most bytes unread are disconnected (nine tenths);
 * 3. `holding`: publishers wait, too (nineteen twentieths).
 *
 * A step is left when memory is a twentieth of the bound below where it began.
 */
import { totalmem } from 'node:os';
import type { Logger } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';

export type Pressure = 'none' | 'closed' | 'shedding' | 'holding';

const steps: readonly { readonly pressure: Pressure; readonly share: number }[] = [
  { pressure: 'holding', share: 0.95 },
  { pressure: 'shedding', share: 0.9 },
  { pressure: 'closed', share: 0.8 },
];
const leaveShare = 0.05;
const rank: readonly Pressure[] = ['none', 'closed', 'shedding', 'holding'];

export class MemoryWatch {
  readonly #log: Logger;
  readonly #bound: number;
  #pressure: Pressure = 'none';

  constructor({ log, metrics }: { log: Logger; metrics: Metrics }, memoryBytes: number) {
    this.#log = log;
    this.#bound = memoryBytes > 0 ? memoryBytes : bytesOfMachine() * 0.8;
    metrics.gauge(
      'trunkline_memory_pressure',
      '0 for none; 1: nobody new is let in; 2: slow readers are disconnected; 3: publishers wait.',
      () => rank.indexOf(this.#pressure),
    );
  }

  get pressure(): Pressure {
    return this.#pressure;
  }

  /** `bytes` is what the process has now; answers the pressure that holds from now on. */
  look(bytes: number = process.memoryUsage.rss()): Pressure {
    const before = this.#pressure;
    const reached = pressureAt(bytes / this.#bound);
    const stays = pressureAt(bytes / this.#bound + leaveShare);
    if (rank.indexOf(reached) > rank.indexOf(before)) this.#pressure = reached;
    else if (rank.indexOf(stays) < rank.indexOf(before)) this.#pressure = stays;
    if (this.#pressure !== before) {
      const fields = { bytes, bound: this.#bound, pressure: this.#pressure };
      this.#log.warn({ ...fields, reason: 'memory' }, 'memory pressure changed');
    }
    return this.#pressure;
  }
}

function pressureAt(share: number): Pressure {
  return steps.find((step) => share >= step.share)?.pressure ?? 'none';
}

/** Of the container, where there is one that says so. */
function bytesOfMachine(): number {
  const constrained = process.constrainedMemory?.() ?? 0;
  return constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
}
