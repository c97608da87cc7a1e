/**
 * What one transaction will write: rows of the log with their positions, sequences of the edges,
 * retained messages. Nothing outside changes until `adopt`, so that a failed commit leaves no mark.
 */
import type { Publication } from '../../base/publication.ts';
import type { Appended, LogAppend, LogBatch, LogSource } from './backplane.ts';
import { type LanePart, partsOf } from './lane-parts.ts';
import { encodeBody } from './log-body.ts';
import { keyOf, type SourceBook, type SourceRow } from './source-book.ts';
import { type BatchSource, storedBatch } from './stored-batch.ts';

export interface LogRow {
  readonly lane: number;
  readonly firstPosition: number;
  readonly count: number;
  readonly through: number;
  readonly origin: string;
  readonly epoch: string;
  readonly sourceLane: number;
  readonly firstSequence: number;
  readonly storedAt: number;
  readonly body: Buffer;
}

interface PlanParts {
  /** The last position of each lane. */
  readonly heads: number[];
  readonly sources: SourceBook;
  readonly now: number;
  /** Identity of the log. */
  readonly logEpoch: string;
}

export class CommitPlan {
  readonly rows: LogRow[] = [];
  readonly batches: LogBatch[] = [];
  readonly sources = new Map<string, SourceRow>();
  /** Edges that write with a new epoch, and that epoch: their spools of before are gone. */
  readonly successors = new Map<string, string>();
  /** Topic to its encoded message; null deletes it. The last of a topic wins. */
  readonly retained = new Map<string, Buffer | null>();
  readonly heads: number[];
  readonly #parts: PlanParts;

  constructor(parts: PlanParts) {
    this.#parts = parts;
    this.heads = [...parts.heads];
  }

  get storedAt(): number {
    return this.#parts.now;
  }

  /** Throws `lane-gap`; the plan is unchanged then. */
  add(append: LogAppend): Appended {
    const { source } = append;
    const count = append.publications.length;
    const repeats =
      source === null ? 0 : this.#parts.sources.repeatsOf({ source, count }, this.sources);
    if (repeats === count) return { firstPosition: 0, repeats };
    const publications = repeats === 0 ? append.publications : append.publications.slice(repeats);
    const firstSequence = source === null ? 0 : source.firstSequence + repeats;
    let firstPosition = 0;
    for (const part of partsOf(append.lane, publications)) {
      const { lane } = part;
      const from = source === null ? null : sourceOf(source, part, firstSequence);
      const position = this.#put(lane, part.publications, from);
      firstPosition ||= position;
    }
    if (source !== null) this.#noteSource(source, firstSequence + publications.length - 1);
    for (const publication of publications) if (publication.retain) this.#retain(publication);
    return { firstPosition, repeats };
  }

  #put(lane: number, publications: readonly Publication[], source: BatchSource | null): number {
    const firstPosition = (this.heads[lane] ?? 0) + 1;
    const through = firstPosition + publications.length - 1;
    this.heads[lane] = through;
    const from = source ?? this.#ownPlace(lane, firstPosition, publications.length);
    this.rows.push({
      lane,
      firstPosition,
      count: publications.length,
      through,
      origin: from.lane.origin,
      epoch: from.lane.epoch,
      sourceLane: from.lane.lane,
      firstSequence: from.sequences[0] ?? 0,
      storedAt: this.#parts.now,
      body: encodeBody(publications, { now: this.#parts.now, sequences: source?.sequences }),
    });
    this.batches.push(storedBatch({ lane, firstPosition, through, publications, source: from }));
    return firstPosition;
  }

  /** What enters at the core is known by its place here: an edge that had it, and comes back from a
   * core with another log, reads this one anew. */
  #ownPlace(lane: number, firstPosition: number, count: number): BatchSource {
    const sequences = Array.from({ length: count }, (_, i) => firstPosition + i);
    return { lane: { origin: '', epoch: this.#parts.logEpoch, lane }, sequences };
  }

  #noteSource(source: LogSource, through: number): void {
    const { edgeId, epoch, lane } = source;
    if (this.#parts.sources.isSuccessor(source)) this.successors.set(edgeId, epoch);
    this.sources.set(keyOf(source, lane), { edgeId, epoch, lane, through });
  }

  #retain(publication: Publication): void {
    // [MQTT-3.3.1-10] a retained message with an empty payload removes what the topic had.
    const isDelete = publication.payload.length === 0;
    const body = isDelete ? null : encodeBody([publication], { now: this.#parts.now });
    this.retained.set(publication.topic, body);
  }

  /** After the commit. */
  adopt(): void {
    for (const [lane, head] of this.heads.entries()) this.#parts.heads[lane] = head;
    this.#parts.sources.adopt(this.sources.values(), this.successors);
  }
}

function sourceOf(source: LogSource, part: LanePart, firstSequence: number): BatchSource {
  const { edgeId: origin, epoch, lane } = source;
  const sequences = part.publications.map((_, i) => firstSequence + (part.indexes?.[i] ?? i));
  return { lane: { origin, epoch, lane }, sequences };
}
