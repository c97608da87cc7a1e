/**
 * How far each edge's lane has come, and what that makes of a batch: new, repeated, repeated in
 * part, or one that leaves a gap. Less or equal to the highest sequence is a repeat.
 */
import { TrunklineError } from '../../base/errors.ts';
import type { LogSource } from './backplane.ts';

export interface SourceRow {
  readonly edgeId: string;
  readonly epoch: string;
  readonly lane: number;
  readonly through: number;
}

export class SourceBook {
  readonly #highest = new Map<string, number>();

  load(rows: readonly SourceRow[]): void {
    for (const row of rows) this.#highest.set(keyOf(row, row.lane), row.through);
  }

  /** The highest sequence taken. Below `oldestSequence` there is nothing to wait for. */
  open(
    source: { readonly edgeId: string; readonly epoch: string },
    lane: number,
    oldestSequence: number,
  ): number {
    const key = keyOf(source, lane);
    const through = Math.max(this.#highest.get(key) ?? 0, oldestSequence - 1);
    this.#highest.set(key, through);
    return through;
  }

  /** How many publications at the front are repeats. Throws `lane-gap`. `staged` stands for what
   * is being committed now. */
  repeatsOf(
    batch: { readonly source: LogSource; readonly lane: number; readonly count: number },
    staged: ReadonlyMap<string, SourceRow>,
  ): number {
    const { source, lane } = batch;
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

  adopt(staged: ReadonlyMap<string, SourceRow>): void {
    for (const [key, row] of staged) this.#highest.set(key, row.through);
  }
}

/** A NUL stands in no identifier that the trunk lets in. */
export function keyOf(
  source: { readonly edgeId: string; readonly epoch: string },
  lane: number,
): string {
  return `${source.edgeId}\0${source.epoch}\0${lane}`;
}
