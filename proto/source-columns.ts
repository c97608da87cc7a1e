/** The columns of a batch that tell where its publications entered, taken apart. */
import type { SourceLane, SourcePlace } from '../base/source.ts';
import type { Batch, Source } from './gen/trunkline/v1/publication.ts';

export function isSameSource(one: SourceLane | null, other: SourceLane | null): boolean {
  if (one === other) return true;
  return one !== null && other !== null && one.epoch === other.epoch && one.lane === other.lane;
}

export function wireSource(source: SourceLane | null): Source {
  return { epoch: source?.epoch ?? '', lane: source?.lane ?? 0 };
}

/** The sources of a batch whose columns were checked; one object for each of its origins, so that a
 * reader may go by identity within the batch. */
export class SourceColumns {
  readonly #batch: Batch;
  readonly #sources: readonly (SourceLane | null)[];

  constructor(batch: Batch) {
    this.#batch = batch;
    this.#sources = batch.sources.map(({ epoch, lane }, id) => {
      return epoch === '' ? null : { origin: batch.origins[id] ?? '', epoch, lane };
    });
  }

  placeOf(index: number): SourcePlace | null {
    const source = this.#sources[this.#batch.originIds[index] ?? 0] ?? null;
    const sequence = this.#batch.sourceSequences[index] ?? 0;
    return source === null || sequence === 0 ? null : { source, sequence };
  }
}
