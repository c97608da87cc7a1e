/**
 * The column codec: publications to a `Batch` and back. Both ends of a stream hold a topic table
 * that grows in the same order; a batch is self-contained when its table starts anew with it.
 * Decoding does not copy payloads: they are views of the received message.
 */
import { TrunklineError } from '../base/errors.ts';
import { grownBatchMessagesMax, internedTopicsMax } from '../base/limits.ts';
import type { Publication, Qos } from '../base/publication.ts';
import type { SourceLane, SourcePlace } from '../base/source.ts';
import { topicNameFault } from '../base/topic.ts';
import { payloadsOf } from './deflate.ts';
import type { Batch } from './gen/trunkline/v1/publication.ts';
import { isSameSource, SourceColumns, wireSource } from './source-columns.ts';

const retainBit = 0x04;

const empty = Buffer.alloc(0);

/** A publication with its sequence (uplink) or position (downlink); 0 for QoS 0 batches. */
export interface Sequenced {
  readonly sequence: number;
  readonly publication: Publication;
  /** Downlink: where it entered; absent when that is not told. */
  readonly from?: SourcePlace | null;
}

/** The sender's half of a topic table. */
export class TopicEncoder {
  readonly #ids = new Map<string, number>();
  #resetNext = true;

  /** Puts the columns together. `items` is not empty; sequences ascend, or are all 0. */
  encode(items: readonly Sequenced[], options: { now: number; through?: number }): Batch {
    if (this.#ids.size + items.length > internedTopicsMax) this.#resetNext = true;
    const reset = this.#resetNext;
    if (reset) this.#ids.clear();
    this.#resetNext = false;
    const columns = new Columns();
    for (const [index, item] of items.entries()) {
      columns.add(index, item, {
        topicId: this.#idOf(item.publication.topic, columns),
        now: options.now,
      });
    }
    return columns.finish(items, { reset, through: options.through });
  }

  #idOf(topic: string, columns: Columns): number {
    let id = this.#ids.get(topic);
    if (id === undefined) {
      id = this.#ids.size;
      this.#ids.set(topic, id);
      columns.topicsAdded.push(topic);
    }
    return id;
  }
}

class Columns {
  readonly topicsAdded: string[] = [];
  readonly #topicIds: number[] = [];
  readonly #lengths: number[] = [];
  readonly #flags: number[] = [];
  readonly #payloads: Buffer[] = [];
  readonly #ages: number[] = [];
  readonly #properties: { index: number; encoded: Buffer }[] = [];
  readonly #origins: string[] = [];
  /** One for each of the origins; null for none. */
  readonly #sources: (SourceLane | null)[] = [];
  readonly #sourceSequences: number[] = [];
  #hasSources = false;
  readonly #originIds: number[] = [];

  add(index: number, item: Sequenced, at: { topicId: number; now: number }): void {
    const { publication } = item;
    this.#topicIds.push(at.topicId);
    this.#lengths.push(publication.payload.length);
    this.#flags.push(publication.qos | (publication.retain ? retainBit : 0));
    this.#payloads.push(publication.payload);
    this.#ages.push(Math.min(0xffffffff, Math.max(0, at.now - publication.acceptedAt)));
    if (publication.properties !== null) {
      this.#properties.push({ index, encoded: publication.properties });
    }
    const from = item.from ?? null;
    this.#originIds.push(this.#originId(publication.origin, from?.source ?? null));
    this.#sourceSequences.push(from?.sequence ?? 0);
    if (from !== null) this.#hasSources = true;
  }

  #originId(origin: string, source: SourceLane | null): number {
    for (let id = 0; id < this.#origins.length; id++) {
      if (this.#origins[id] === origin && isSameSource(this.#sources[id] ?? null, source))
        return id;
    }
    this.#sources.push(source);
    return this.#origins.push(origin) - 1;
  }

  finish(
    items: readonly Sequenced[],
    options: { reset: boolean; through: number | undefined },
  ): Batch {
    const first = items[0]?.sequence ?? 0;
    const last = items.at(-1)?.sequence ?? 0;
    const isContiguous = first === 0 || last - first === items.length - 1;
    const isOwnOrigin = this.#origins.length === 1 && this.#origins[0] === '' && !this.#hasSources;
    return {
      firstSequence: first,
      sequenceDeltas: isContiguous ? [] : deltasOf(items),
      throughSequence: options.through ?? last,
      topicsReset: options.reset,
      topicsAdded: this.topicsAdded,
      topicIds: this.#topicIds,
      lengths: this.#lengths,
      flags: Buffer.from(this.#flags),
      payloads: Buffer.concat(this.#payloads),
      agesMs: this.#ages.every((age) => age === 0) ? [] : this.#ages,
      origins: isOwnOrigin ? [] : this.#origins,
      originIds: this.#origins.length > 1 ? this.#originIds : [],
      properties: this.#properties,
      deflatedPayloads: empty,
      sourceSequences: this.#hasSources ? this.#sourceSequences : [],
      sources: this.#hasSources ? this.#sources.map(wireSource) : [],
    };
  }
}

function deltasOf(items: readonly Sequenced[]): number[] {
  let previous = items[0]?.sequence ?? 0;
  return items.map((item) => {
    const delta = item.sequence - previous;
    previous = item.sequence;
    return delta;
  });
}

/** The receiver's half of a topic table. */
export class TopicDecoder {
  #topics: string[] = [];

  /**
   * Takes the columns apart. Throws `batch-malformed` when columns disagree, a topic is unknown or
   * invalid, or a bound is exceeded; the stream's table is then worthless and the lane must be reset.
   * `origin` stands in for a batch that names none.
   */
  decode(batch: Batch, options: { now: number; origin: string }): Sequenced[] {
    this.#learn(batch);
    const count = batch.topicIds.length;
    checkColumns(batch, count);
    const payloads = payloadsOf(batch, sumOf(batch.lengths));
    const items = new Array<Sequenced>(count);
    const properties = propertyMap(batch, count);
    const sources = batch.sources.length === 0 ? null : new SourceColumns(batch);
    let sequence = batch.firstSequence;
    let offset = 0;
    for (let i = 0; i < count; i++) {
      sequence += sequenceStep(batch, i);
      const length = batch.lengths[i] as number;
      const payload = payloads.subarray(offset, offset + length);
      offset += length;
      const flags = batch.flags[i] as number;
      const publication: Publication = {
        topic: this.#topicOf(batch.topicIds[i] as number),
        payload,
        qos: qosOf(flags),
        retain: (flags & retainBit) !== 0,
        properties: properties.get(i) ?? null,
        acceptedAt: options.now - (batch.agesMs[i] ?? 0),
        origin: originOf(batch, i, options.origin),
      };
      items[i] =
        sources === null
          ? { sequence, publication }
          : { sequence, publication, from: sources.placeOf(i) };
    }
    return items;
  }

  #learn(batch: Batch): void {
    if (batch.topicsReset) this.#topics = [];
    if (
      this.#topics.length + batch.topicsAdded.length >
      internedTopicsMax + grownBatchMessagesMax
    ) {
      throw malformed(
        `topics_added would make ${this.#topics.length + batch.topicsAdded.length} interned topics`,
      );
    }
    for (const topic of batch.topicsAdded) {
      const fault = topicNameFault(topic);
      if (fault !== null) throw malformed(`topics_added: a topic ${fault}`);
      this.#topics.push(topic);
    }
  }

  #topicOf(id: number): string {
    const topic = this.#topics[id];
    if (topic === undefined)
      throw malformed(`topic_ids names topic ${id} of ${this.#topics.length}`);
    return topic;
  }
}

function checkColumns(batch: Batch, count: number): void {
  if (count > grownBatchMessagesMax) throw malformed(`${count} publications are too many`);
  agree('lengths', batch.lengths.length, count);
  agree('flags', batch.flags.length, count);
  if (batch.agesMs.length !== 0) agree('ages_ms', batch.agesMs.length, count);
  if (batch.originIds.length !== 0) agree('origin_ids', batch.originIds.length, count);
  if (batch.sources.length !== 0) {
    agree('source_sequences', batch.sourceSequences.length, count);
    if (batch.sources.length !== batch.origins.length) {
      throw malformed(`${batch.sources.length} sources for ${batch.origins.length} origins`);
    }
  }
  if (batch.sequenceDeltas.length !== 0)
    agree('sequence_deltas', batch.sequenceDeltas.length, count);
}

function sumOf(lengths: readonly number[]): number {
  let sum = 0;
  for (const length of lengths) sum += length;
  return sum;
}

function agree(column: string, entries: number, count: number): void {
  if (entries !== count) {
    throw malformed(`${column} has ${entries} entries but topic_ids has ${count}`);
  }
}

function sequenceStep(batch: Batch, index: number): number {
  if (batch.firstSequence === 0) return 0;
  if (batch.sequenceDeltas.length > 0) return batch.sequenceDeltas[index] as number;
  return index === 0 ? 0 : 1;
}

function qosOf(flags: number): Qos {
  const qos = flags & 0x03;
  if (qos === 3) throw malformed('flags has QoS 3');
  return qos as Qos;
}

function originOf(batch: Batch, index: number, fallback: string): string {
  if (batch.origins.length === 0) return fallback;
  const id = batch.originIds[index] ?? 0;
  const origin = batch.origins[id];
  if (origin === undefined)
    throw malformed(`origin_ids names origin ${id} of ${batch.origins.length}`);
  return origin === '' ? fallback : origin;
}

function propertyMap(batch: Batch, count: number): Map<number, Buffer> {
  const map = new Map<number, Buffer>();
  for (const { index, encoded } of batch.properties) {
    if (index >= count) throw malformed(`properties names publication ${index} of ${count}`);
    map.set(index, Buffer.from(encoded.buffer, encoded.byteOffset, encoded.length));
  }
  return map;
}

function malformed(detail: string): TrunklineError {
  return new TrunklineError('batch-malformed', `Batch refused: ${detail}.`);
}
