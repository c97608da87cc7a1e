/**
 * How far this edge has had what others published: the highest sequence of each lane of their spools,
 * on each lane of the core's log. By it a repeat is known even when a core that lost its log is sent
 * it anew. The marks that were used longest ago give way.
 */
import { seenSourcesMax } from '../base/limits.ts';
import type { SourceLane } from '../base/source.ts';

export interface SourceMark {
  readonly source: SourceLane;
  readonly logLane: number;
  /** Handed to the broker; may still be on its way. */
  handed: number;
  /** The broker has dealt with it. */
  noted: number;
}

/** As it stands in the spool: origin and epoch, then lane, lane of the log and sequence of each. */
export type StoredSources = readonly (readonly (string | number)[])[];

export class SeenSources {
  readonly #max: number;
  /** In the order of use. */
  readonly #marks = new Map<string, SourceMark>();
  #changed = new Set<SourceMark>();

  constructor(max = seenSourcesMax) {
    this.#max = max;
  }

  get size(): number {
    return this.#marks.size;
  }

  /** The mark to hold publications of a source against. */
  markOf(source: SourceLane, logLane: number): SourceMark {
    const key = `${logLane} ${source.lane} ${source.epoch} ${source.origin}`;
    let mark = this.#marks.get(key);
    if (mark === undefined) {
      mark = { source, logLane, handed: 0, noted: 0 };
      for (const oldest of this.#marks.keys()) {
        if (this.#marks.size < this.#max) break;
        this.#marks.delete(oldest);
      }
    } else {
      this.#marks.delete(key);
    }
    this.#marks.set(key, mark);
    return mark;
  }

  /** What was handed over has been dealt with. */
  note(mark: SourceMark): void {
    if (mark.noted >= mark.handed) return;
    mark.noted = mark.handed;
    this.#changed.add(mark);
  }

  /** Found on start. */
  restore(source: SourceLane, logLane: number, sequence: number): void {
    const mark = this.markOf(source, logLane);
    mark.handed = Math.max(mark.handed, sequence);
    mark.noted = mark.handed;
  }

  restoreAll(stored: StoredSources): void {
    for (const [origin, epoch, ...numbers] of stored) {
      for (let at = 0; at + 2 < numbers.length; at += 3) {
        const lane = Number(numbers[at]);
        const source = { origin: String(origin), epoch: String(epoch), lane };
        this.restore(source, Number(numbers[at + 1]), Number(numbers[at + 2]));
      }
    }
  }

  /** What changed since the last call, or everything. */
  take(isFull: boolean): StoredSources {
    const groups = new Map<string, (string | number)[]>();
    for (const mark of isFull ? this.#marks.values() : this.#changed) {
      if (mark.noted === 0) continue;
      const { origin, epoch, lane } = mark.source;
      const key = `${epoch} ${origin}`;
      const group = groups.get(key) ?? [origin, epoch];
      group.push(lane, mark.logLane, mark.noted);
      groups.set(key, group);
    }
    this.#changed = new Set();
    return [...groups.values()];
  }
}
