/**
 * How long the spool keeps what the core has acknowledged. The watermarks are noted in steps, so that
 * time costs a bounded number of notes and messages cost none.
 */

/** Notes over the whole time. */
const stepsMax = 60;

export interface RetentionBounds {
  readonly seconds: number;
  readonly bytes: number;
}

interface Note {
  readonly at: number;
  readonly acknowledged: readonly number[];
}

export class SpoolRetention {
  readonly bytesMax: number;
  readonly #ms: number;
  #notes: Note[] = [];

  constructor(bounds: RetentionBounds) {
    this.bytesMax = bounds.bytes;
    this.#ms = bounds.bytes === 0 ? 0 : bounds.seconds * 1_000;
  }

  /** Called every so often, with a clock that does not jump; answers the watermarks of a moment that
   * is long enough past, or null when there is no new one. */
  note(at: number, acknowledged: readonly number[]): readonly number[] | null {
    if (this.#ms === 0) return acknowledged;
    const last = this.#notes.at(-1);
    if (last === undefined || at - last.at >= this.#ms / stepsMax) {
      this.#notes.push({ at, acknowledged });
    }
    const kept = this.#notes.findIndex((note) => note.at > at - this.#ms);
    const past = this.#notes.splice(0, kept < 0 ? this.#notes.length : kept);
    return past.at(-1)?.acknowledged ?? null;
  }

  /** The core has lost some of it: the notes say too much. */
  forget(): void {
    this.#notes = [];
  }
}
