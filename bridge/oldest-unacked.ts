/**
 * How long the oldest publication of each lane has waited for the core, without a look at the
 * publications themselves: it is noted now and then how far each lane had come. What an earlier run
 * left is read from the spool instead, a record at a time and seldom.
 */

import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { UplinkLog } from './ports.ts';

/** Notes of one lane. When there are more every other one goes: an old age need not be exact. */
const notesMax = 256;

const readEveryMs = 5_000;

export interface OldestUnackedParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly spool: UplinkLog;
}

interface LaneNotes {
  /** The lane had come to `place` at `at`, in order. */
  notes: { readonly place: number; readonly at: number }[];
  /** What an earlier run left ends here. */
  readonly foundThrough: number;
  /** When the oldest of that was accepted, on the clock of `elapsed`; null while it is not read. */
  foundAt: number | null;
}

export class OldestUnacked {
  readonly #parts: OldestUnackedParts;
  readonly #lanes: LaneNotes[] = [];
  #readAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> = Promise.resolve();
  #isReading = false;
  #isClosed = false;

  constructor(parts: OldestUnackedParts) {
    this.#parts = parts;
    for (let lane = 0; lane < parts.spool.laneCount; lane++) this.#notesOf(lane);
    this.look();
  }

  /** Asked once a second. */
  look(): void {
    const { clock, spool } = this.#parts;
    const now = clock.elapsed();
    let hasFound = false;
    for (let lane = 0; lane < spool.laneCount; lane++) {
      const state = this.#notesOf(lane);
      const { notes } = state;
      const acknowledged = spool.acknowledgedOf(lane);
      const gone = notes.findIndex(({ place }) => place > acknowledged);
      notes.splice(0, gone < 0 ? notes.length : gone);
      const place = acknowledged + spool.backlogOf(lane);
      if (place > (notes.at(-1)?.place ?? acknowledged)) notes.push({ place, at: now });
      if (notes.length > notesMax) state.notes = notes.filter((_, i) => i % 2 === 1);
      hasFound ||= acknowledged < state.foundThrough;
    }
    if (!hasFound || this.#isReading || now - this.#readAt < readEveryMs) return;
    this.#readAt = now;
    this.#isReading = true;
    this.#reading = this.#read();
  }

  /** 0 when none waits. */
  ageMs(lane: number): number {
    const { clock, spool } = this.#parts;
    const state = this.#lanes[lane];
    if (state === undefined || spool.backlogOf(lane) === 0) return 0;
    const acknowledged = spool.acknowledgedOf(lane);
    const isFound = acknowledged < state.foundThrough && state.foundAt !== null;
    const noted = state.notes.find(({ place }) => place > acknowledged)?.at;
    const since = isFound ? state.foundAt : noted;
    return since === undefined || since === null ? 0 : Math.max(0, clock.elapsed() - since);
  }

  /** Resolves when nothing of it reads the spool any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#reading;
  }

  async #read(): Promise<void> {
    const { log, spool } = this.#parts;
    try {
      for (let lane = 0; lane < spool.laneCount && !this.#isClosed; lane++) {
        if (spool.acknowledgedOf(lane) < this.#notesOf(lane).foundThrough)
          await this.#readOne(lane);
      }
    } catch (error) {
      log.warn({ reason: messageOf(error) }, 'age of the backlog cannot be read');
    } finally {
      this.#isReading = false;
    }
  }

  async #readOne(lane: number): Promise<void> {
    const { clock, spool } = this.#parts;
    for await (const [record] of spool.readLane(lane, spool.acknowledgedOf(lane) + 1)) {
      if (record === undefined) continue;
      const waitedMs = Math.max(0, clock.now() - record.publication.acceptedAt);
      this.#notesOf(lane).foundAt = clock.elapsed() - waitedMs;
      return;
    }
  }

  #notesOf(lane: number): LaneNotes {
    let state = this.#lanes[lane];
    if (state === undefined) {
      const { spool } = this.#parts;
      const foundThrough = spool.acknowledgedOf(lane) + spool.backlogOf(lane);
      state = { notes: [], foundThrough, foundAt: null };
      this.#lanes[lane] = state;
    }
    return state;
  }
}
