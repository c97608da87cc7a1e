/**
 * The room that the spool takes: which segments are past everyone who needs them, and which of these
 * are retained for a core that loses its data. What is retained never makes the spool full.
 */
import type { Clock } from '../base/clock.ts';
import type { SpoolLanes } from './spool-lanes.ts';
import { type RetentionBounds, SpoolRetention } from './spool-retention.ts';
import type { SpoolSegments } from './spool-segments.ts';

export interface SpoolSpaceParts {
  readonly clock: Clock;
  readonly lanes: SpoolLanes;
  readonly segments: SpoolSegments;
}

export class SpoolSpace {
  readonly #parts: SpoolSpaceParts;
  readonly #retention: SpoolRetention;
  #retainedBytes = 0;

  constructor(parts: SpoolSpaceParts, bounds: RetentionBounds = { seconds: 0, bytes: 0 }) {
    this.#parts = parts;
    this.#retention = new SpoolRetention(bounds);
  }

  /** On disk, without what could go at once. */
  get bytesHeld(): number {
    return this.#parts.segments.bytes - this.#retainedBytes;
  }

  /** Called every so often; true when less is retained than before. */
  note(): boolean {
    const { clock, lanes } = this.#parts;
    const past = this.#retention.note(clock.elapsed(), lanes.acknowledged);
    return past !== null && lanes.release(past.map((place) => place + 1));
  }

  /** The core has lost some of what it acknowledged. */
  forget(): void {
    this.#retention.forget();
  }

  /** Of what nobody needs below `lowest`, frees what is not to be retained. */
  async free(lowest: number): Promise<void> {
    const { lanes, segments } = this.#parts;
    const free = segments.before(lowest);
    this.#retainedBytes = free.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const { end, bytes } of free) {
      const isTooMuch =
        this.#retainedBytes > this.#retention.bytesMax || segments.bytes > segments.bytesBeforeFull;
      if (!isTooMuch && !lanes.isReleased(end)) return;
      lanes.freed(end);
      this.#retainedBytes -= bytes;
      await segments.freeOldest();
    }
  }
}
