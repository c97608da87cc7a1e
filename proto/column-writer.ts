/**
 * Publications put into columns, one after the other. Columns that say nothing, because everything
 * is the same, are not begun before something differs: on this path what is allocated for each
 * publication was measured to cost more than what is done with it.
 */
import type { SourceLane } from '../base/source.ts';
import { emptyBatch } from './batch-codec.ts';
import { flagsOf } from './flags.ts';
import type { Batch } from './gen/trunkline/v1/publication.ts';
import { PayloadColumn } from './payload-column.ts';
import { isSameSource, wireSource } from './source-columns.ts';
import type { Sequenced } from './wire.ts';

const ageMax = 0xffff_ffff;

export class ColumnWriter {
  readonly topicsAdded: string[] = [];
  readonly #now: number;
  readonly #count: number;
  readonly #topicIds: number[];
  readonly #lengths: number[];
  readonly #flags: Buffer;
  readonly #payloads = new PayloadColumn();
  readonly #properties: Batch['properties'] = [];
  readonly #origins: string[] = [];
  /** One for each of the origins; null for none. */
  readonly #sources: (SourceLane | null)[] = [];
  #ages: number[] | null = null;
  #originIds: number[] | null = null;
  #sourceSequences: number[] | null = null;
  #at = 0;

  constructor(count: number, now: number) {
    this.#count = count;
    this.#now = now;
    this.#topicIds = new Array<number>(count);
    this.#lengths = new Array<number>(count);
    this.#flags = Buffer.allocUnsafe(count);
  }

  add(item: Sequenced, topicId: number): void {
    const { publication } = item;
    const { payload, properties } = publication;
    const at = this.#at++;
    this.#topicIds[at] = topicId;
    this.#lengths[at] = payload.length;
    this.#flags[at] = flagsOf(publication);
    this.#payloads.add(payload);
    if (properties !== null) this.#properties.push({ index: at, encoded: properties });
    this.#addAge(at, this.#now - publication.acceptedAt);
    const from = item.from ?? null;
    this.#addOrigin(at, this.#originId(publication.origin, from?.source ?? null));
    if (from !== null) {
      this.#sourceSequences ??= new Array<number>(this.#count).fill(0);
      this.#sourceSequences[at] = from.sequence;
    }
  }

  finish(): Batch {
    const batch = emptyBatch();
    const isOwnOrigin =
      this.#origins.length === 1 && this.#origins[0] === '' && this.#sourceSequences === null;
    batch.topicsAdded = this.topicsAdded;
    batch.topicIds = this.#topicIds;
    batch.lengths = this.#lengths;
    batch.flags = this.#flags;
    batch.payloads = this.#payloads.finish();
    batch.properties = this.#properties;
    if (this.#ages !== null) batch.agesMs = this.#ages;
    if (!isOwnOrigin) batch.origins = this.#origins;
    if (this.#originIds !== null) batch.originIds = this.#originIds;
    if (this.#sourceSequences !== null) {
      batch.sourceSequences = this.#sourceSequences;
      batch.sources = this.#sources.map(wireSource);
    }
    return batch;
  }

  #addAge(at: number, age: number): void {
    if (age <= 0 && this.#ages === null) return;
    this.#ages ??= new Array<number>(this.#count).fill(0);
    this.#ages[at] = age <= 0 ? 0 : Math.min(ageMax, age);
  }

  #addOrigin(at: number, id: number): void {
    if (id === 0 && this.#originIds === null) return;
    this.#originIds ??= new Array<number>(this.#count).fill(0);
    this.#originIds[at] = id;
  }

  #originId(origin: string, source: SourceLane | null): number {
    for (let id = 0; id < this.#origins.length; id++) {
      if (this.#origins[id] === origin && isSameSource(this.#sources[id] ?? null, source))
        return id;
    }
    this.#sources.push(source);
    return this.#origins.push(origin) - 1;
  }
}
