/** A batch of the embedded log, with what readers ask of it. */
import { publicationBytes } from '../../base/publication.ts';
import type { SourceLane } from '../../base/source.ts';
import type { LogBatch } from './backplane.ts';
import { slotsOf } from './slots.ts';

/** Where the publications of one batch of the log entered. */
export interface BatchSource {
  readonly lane: SourceLane;
  /** One for each publication. */
  readonly sequences: readonly number[];
}

export interface StoredBatch
  extends Pick<LogBatch, 'lane' | 'firstPosition' | 'through' | 'publications'> {
  /** Null for what entered at the core. */
  readonly source: BatchSource | null;
}

export function storedBatch(stored: StoredBatch): LogBatch {
  const { lane, firstPosition, through, publications, source } = stored;
  let bytes = 0;
  let hasRetained = false;
  for (const publication of publications) {
    bytes += publicationBytes(publication);
    hasRetained ||= publication.retain;
  }
  return {
    lane,
    firstPosition,
    through,
    publications,
    bytes,
    slots: slotsOf(publications),
    hasRetained,
    placeAt: (index) => {
      const sequence = source?.sequences[index];
      return source === null || sequence === undefined ? null : { source: source.lane, sequence };
    },
  };
}
