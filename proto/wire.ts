/**
 * The column codec: publications to a `Batch` and back. Both ends of a stream hold a topic table
 * that grows in the same order; a batch is self-contained when its table starts anew with it.
 * Decoding does not copy payloads: they are views of the received message.
 */
import { TrunklineError } from '../base/errors.ts';
import { grownBatchMessagesMax, internedTopicsMax } from '../base/limits.ts';
import type { Publication, Qos } from '../base/publication.ts';
import type { SourcePlace } from '../base/source.ts';
import { topicNameFault } from '../base/topic.ts';
import { ColumnWriter } from './column-writer.ts';
import { payloadsOf } from './deflate.ts';
import { retainBit } from './flags.ts';
import type { Batch } from './gen/trunkline/v1/publication.ts';
import { SourceColumns } from './source-columns.ts';

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
    const columns = new ColumnWriter(items.length, options.now);
    // Publications of one topic come one behind the other, and share its string.
    let topic: string | null = null;
    let id = 0;
    for (const item of items) {
      if (item.publication.topic !== topic) {
        topic = item.publication.topic;
        id = this.#idOf(topic, columns);
      }
      columns.add(item, id);
    }
    const batch = columns.finish();
    const first = items[0]?.sequence ?? 0;
    const last = items.at(-1)?.sequence ?? 0;
    batch.firstSequence = first;
    if (first !== 0 && last - first !== items.length - 1) batch.sequenceDeltas = deltasOf(items);
    batch.throughSequence = options.through ?? last;
    batch.topicsReset = reset;
    return batch;
  }

  #idOf(topic: string, columns: ColumnWriter): number {
    let id = this.#ids.get(topic);
    if (id === undefined) {
      id = this.#ids.size;
      this.#ids.set(topic, id);
      columns.topicsAdded.push(topic);
    }
    return id;
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
    const properties = propertyMap(batch, count);
    const sources = batch.sources.length === 0 ? null : new SourceColumns(batch);
    const { agesMs, firstSequence, flags, lengths, topicIds } = batch;
    const items: Sequenced[] = [];
    let sequence = firstSequence;
    let offset = 0;
    for (let i = 0; i < count; i++) {
      sequence += sequenceStep(batch, i);
      const start = offset;
      offset += lengths[i] as number;
      const flag = flags[i] as number;
      const publication: Publication = {
        topic: this.#topicOf(topicIds[i] as number),
        payload: payloads.subarray(start, offset),
        qos: qosOf(flag),
        retain: (flag & retainBit) !== 0,
        properties: properties?.get(i) ?? null,
        acceptedAt: options.now - (agesMs[i] ?? 0),
        origin: originOf(batch, i, options.origin),
      };
      if (sources === null) items.push({ sequence, publication });
      else items.push({ sequence, publication, from: sources.placeOf(i) });
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

/** Null for none at all. */
function propertyMap(batch: Batch, count: number): Map<number, Buffer> | null {
  if (batch.properties.length === 0) return null;
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
