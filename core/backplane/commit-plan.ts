/**
 * What one transaction will write: rows of the log with their positions, sequences of the edges,
 * retained messages. Nothing outside changes until `adopt`, so that a failed commit leaves no mark.
 */
import type { Publication } from '../../base/publication.ts';
import type { Appended, LogAppend, LogBatch } from './backplane.ts';
import { encodeBody } from './log-body.ts';
import { keyOf, type SourceBook, type SourceRow } from './source-book.ts';

export interface LogRow {
  readonly lane: number;
  readonly firstPosition: number;
  readonly count: number;
  readonly through: number;
  readonly origin: string;
  readonly epoch: string;
  readonly firstSequence: number;
  readonly storedAt: number;
  readonly body: Buffer;
}

interface PlanParts {
  /** The last position of each lane. */
  readonly heads: number[];
  readonly sources: SourceBook;
  readonly now: number;
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
    const { lane, source } = append;
    const count = append.publications.length;
    const repeats =
      source === null ? 0 : this.#parts.sources.repeatsOf({ source, lane, count }, this.sources);
    if (repeats === count) return { firstPosition: 0, repeats };
    const publications = repeats === 0 ? append.publications : append.publications.slice(repeats);
    const firstPosition = (this.heads[lane] ?? 0) + 1;
    const through = firstPosition + publications.length - 1;
    this.heads[lane] = through;
    const firstSequence = source === null ? 0 : source.firstSequence + repeats;
    this.rows.push({
      lane,
      firstPosition,
      count: publications.length,
      through,
      origin: source?.edgeId ?? '',
      epoch: source?.epoch ?? '',
      firstSequence,
      storedAt: this.#parts.now,
      body: encodeBody(publications, this.#parts.now),
    });
    this.batches.push({ lane, firstPosition, through, publications });
    if (source !== null) {
      const { edgeId, epoch } = source;
      if (this.#parts.sources.isSuccessor(source)) this.successors.set(edgeId, epoch);
      const last = firstSequence + publications.length - 1;
      this.sources.set(keyOf(source, lane), { edgeId, epoch, lane, through: last });
    }
    for (const publication of publications) if (publication.retain) this.#retain(publication);
    return { firstPosition, repeats };
  }

  #retain(publication: Publication): void {
    // [MQTT-3.3.1-10] a retained message with an empty payload removes what the topic had.
    const isDelete = publication.payload.length === 0;
    const body = isDelete ? null : encodeBody([publication], this.#parts.now);
    this.retained.set(publication.topic, body);
  }

  /** After the commit. */
  adopt(): void {
    for (const [lane, head] of this.heads.entries()) this.#parts.heads[lane] = head;
    this.#parts.sources.adopt(this.sources.values(), this.successors);
  }
}
