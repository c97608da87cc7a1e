/**
 * How far each edge's lane has come, and what that makes of a batch: new, repeated, repeated in
 * part, or one that leaves a gap. Less or equal to the highest sequence is a repeat.
 */
import { TrunklineError } from '../../base/errors.ts';
import { uplinkLanesMax } from '../../base/limits.ts';
import type { LogSource } from './backplane.ts';

export interface SourceRow {
  readonly edgeId: string;
  readonly epoch: string;
  readonly lane: number;
  readonly through: number;
}

export class SourceBook {
  readonly #highest = new Map<string, number>();
  /** The epochs of each edge that there are rows of: more than one only until the next append. */
  readonly #epochs = new Map<string, Set<string>>();

  load(rows: readonly SourceRow[]): void {
    for (const row of rows) this.#put(row);
  }

  /** The highest sequence taken; undefined for a lane that is not known. */
  highest(
    source: { readonly edgeId: string; readonly epoch: string },
    lane: number,
  ): number | undefined {
    return this.#highest.get(keyOf(source, lane));
  }

  /** Whether there are rows of other epochs of the edge: those of spools that it no longer has. */
  isSuccessor({ edgeId, epoch }: { readonly edgeId: string; readonly epoch: string }): boolean {
    const epochs = this.#epochs.get(edgeId);
    return epochs !== undefined && epochs.size > (epochs.has(epoch) ? 1 : 0);
  }

  /** The one that was written last; null for an edge that is not known. */
  epochOf(edgeId: string): string | null {
    return [...(this.#epochs.get(edgeId) ?? [])].at(-1) ?? null;
  }

  /** Where the lane goes on. Below `oldestSequence` there is nothing to wait for. */
  open(
    source: { readonly edgeId: string; readonly epoch: string },
    lane: number,
    oldestSequence: number,
  ): number {
    const key = keyOf(source, lane);
    const through = Math.max(this.#highest.get(key) ?? 0, oldestSequence - 1);
    if (through > 0) this.#highest.set(key, through);
    return through;
  }

  /** How many publications at the front are repeats. Throws `lane-gap`. `staged` stands for what
   * is being committed now. */
  repeatsOf(
    batch: { readonly source: LogSource; readonly count: number },
    staged: ReadonlyMap<string, SourceRow>,
  ): number {
    const { source } = batch;
    const { lane } = source;
    const key = keyOf(source, lane);
    const through = staged.get(key)?.through ?? this.#highest.get(key) ?? 0;
    if (source.firstSequence > through + 1) {
      throw new TrunklineError(
        'lane-gap',
        `Edge ${source.edgeId} sent sequence ${source.firstSequence} on lane ${lane}, but ${through + 1} is next: the lane starts again from there.`,
      );
    }
    return Math.min(batch.count, through - source.firstSequence + 1);
  }

  /** `successors`: edges whose other epochs are over, with the one that goes on. */
  adopt(staged: Iterable<SourceRow>, successors: ReadonlyMap<string, string>): void {
    for (const [edgeId, epoch] of successors) this.#forgetOthers(edgeId, epoch);
    for (const row of staged) this.#put(row);
  }

  #put(row: SourceRow): void {
    this.#highest.set(keyOf(row, row.lane), row.through);
    const epochs = this.#epochs.get(row.edgeId) ?? new Set();
    this.#epochs.set(row.edgeId, epochs.add(row.epoch));
  }

  #forgetOthers(edgeId: string, kept: string): void {
    for (const epoch of this.#epochs.get(edgeId) ?? []) {
      if (epoch === kept) continue;
      this.#epochs.get(edgeId)?.delete(epoch);
      for (let lane = 0; lane < uplinkLanesMax; lane++) {
        this.#highest.delete(keyOf({ edgeId, epoch }, lane));
      }
    }
  }
}

/** A NUL stands in no identifier that the trunk lets in. */
export function keyOf(
  source: { readonly edgeId: string; readonly epoch: string },
  lane: number,
): string {
  return `${source.edgeId}\0${source.epoch}\0${lane}`;
}
