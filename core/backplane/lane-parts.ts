/**
 * A batch of an edge's lane, cut by the lanes of the log that its topics belong to. Where an edge has
 * as many lanes as the log, nothing is cut.
 */
import type { Publication } from '../../base/publication.ts';
import { laneOf } from '../../base/topic.ts';

export interface LanePart {
  readonly lane: number;
  readonly publications: readonly Publication[];
  /** Which ones of the batch they are; null for all of them. */
  readonly indexes: readonly number[] | null;
}

interface OpenPart extends LanePart {
  readonly publications: Publication[];
  readonly indexes: number[];
}

/** Not empty, in the order of the batch. `lane` is that of all of them, or null. */
export function partsOf(lane: number | null, publications: readonly Publication[]): LanePart[] {
  const first = lane ?? commonLaneOf(publications);
  if (first !== null) return [{ lane: first, publications, indexes: null }];
  const parts = new Map<number, OpenPart>();
  for (const [index, publication] of publications.entries()) {
    const own = laneOf(publication.topic);
    let part = parts.get(own);
    if (part === undefined) {
      part = { lane: own, publications: [], indexes: [] };
      parts.set(own, part);
    }
    part.publications.push(publication);
    part.indexes.push(index);
  }
  return [...parts.values()];
}

/** Null when there are several. */
function commonLaneOf(publications: readonly Publication[]): number | null {
  let lane: number | null = null;
  let topic = '';
  for (const publication of publications) {
    // Runs of one topic share one string: it is looked at once.
    if (publication.topic === topic) continue;
    topic = publication.topic;
    const own = laneOf(topic);
    if (lane !== null && own !== lane) return null;
    lane = own;
  }
  return lane;
}
