/**
 * `Batch` as bytes and back, by hand: the generated code takes columns apart value by value and
 * copies payloads several times, which was measured to be much of what a publication costs on the
 * trunk. The bytes are the same, and a property test holds both to it; what is out of the ordinary
 * is left to the generated code.
 */
import { fieldTags } from './batch-tags.ts';
import { ByteSink } from './byte-sink.ts';
import type { Batch, SparseProperties } from './gen/trunkline/v1/publication.ts';
import { VarintReader } from './varint-reader.ts';

/** Reused: what was written is copied out at its true size. */
const sink = new ByteSink();

/** The bytes of the batch; as a field of that tag in another message, when one is given. */
export function encodeBatch(batch: Batch, tag: number | null = null): Buffer {
  const { agesMs, flags, lengths, originIds, origins, payloads, topicIds, topicsAdded } = batch;
  sink.begin();
  sink.number(fieldTags.firstSequence, batch.firstSequence);
  sink.column(fieldTags.sequenceDeltas, batch.sequenceDeltas);
  sink.number(fieldTags.throughSequence, batch.throughSequence);
  sink.number(fieldTags.topicsReset, batch.topicsReset ? 1 : 0);
  for (const topic of topicsAdded) sink.text(fieldTags.topicsAdded, topic);
  sink.column(fieldTags.topicIds, topicIds);
  sink.column(fieldTags.lengths, lengths);
  if (flags.length > 0) sink.blob(fieldTags.flags, flags);
  if (payloads.length > 0) sink.blob(fieldTags.payloads, payloads);
  sink.column(fieldTags.agesMs, agesMs);
  for (const origin of origins) sink.text(fieldTags.origins, origin);
  sink.column(fieldTags.originIds, originIds);
  for (const { index, encoded } of batch.properties) {
    sink.indexedBlob(fieldTags.properties, index, encoded);
  }
  if (batch.deflatedPayloads.length > 0) {
    sink.blob(fieldTags.deflatedPayloads, batch.deflatedPayloads);
  }
  sink.column(fieldTags.sourceSequences, batch.sourceSequences);
  for (const { epoch, lane } of batch.sources) sink.textAndNumber(fieldTags.sources, epoch, lane);
  return sink.end(tag);
}

/** What `bytes[start, end)` says, payloads as views; null for what the generated code should judge:
 * a field of a later version, or bytes that are no batch. */
export function decodeBatch(bytes: Buffer, start: number, end: number): Batch | null {
  const reader = new VarintReader(bytes, start, end);
  const batch = emptyBatch();
  while (reader.at < end) {
    const tag = reader.next();
    if (!readField(batch, tag, reader) || reader.isCut) return null;
  }
  return batch;
}

export function emptyBatch(): Batch {
  return {
    firstSequence: 0,
    sequenceDeltas: [],
    throughSequence: 0,
    topicsReset: false,
    topicsAdded: [],
    topicIds: [],
    lengths: [],
    flags: nothing,
    payloads: nothing,
    agesMs: [],
    origins: [],
    originIds: [],
    properties: [],
    deflatedPayloads: nothing,
    sourceSequences: [],
    sources: [],
  };
}

const nothing = Buffer.alloc(0);

/** False for a field that is not known. */
function readField(batch: Batch, tag: number, reader: VarintReader): boolean {
  switch (tag) {
    case fieldTags.firstSequence:
      batch.firstSequence = reader.next();
      return true;
    case fieldTags.throughSequence:
      batch.throughSequence = reader.next();
      return true;
    case fieldTags.topicsReset:
      batch.topicsReset = reader.next() !== 0;
      return true;
    case fieldTags.flags:
      batch.flags = reader.blob();
      return true;
    case fieldTags.payloads:
      batch.payloads = reader.blob();
      return true;
    case fieldTags.deflatedPayloads:
      batch.deflatedPayloads = reader.blob();
      return true;
    case fieldTags.topicsAdded:
      batch.topicsAdded.push(reader.text());
      return true;
    case fieldTags.origins:
      batch.origins.push(reader.text());
      return true;
    case fieldTags.properties:
      return readProperties(batch, reader);
    case fieldTags.sources:
      return readSource(batch, reader);
    default:
      return readColumn(batch, tag, reader);
  }
}

function readColumn(batch: Batch, tag: number, reader: VarintReader): boolean {
  switch (tag) {
    case fieldTags.sequenceDeltas:
      return reader.column32(batch.sequenceDeltas);
    case fieldTags.topicIds:
      return reader.column32(batch.topicIds);
    case fieldTags.lengths:
      return reader.column32(batch.lengths);
    case fieldTags.agesMs:
      return reader.column32(batch.agesMs);
    case fieldTags.originIds:
      return reader.column32(batch.originIds);
    case fieldTags.sourceSequences:
      return reader.column(batch.sourceSequences);
    default:
      return false;
  }
}

function readProperties(batch: Batch, reader: VarintReader): boolean {
  const inner = reader.nested();
  const properties: SparseProperties = { index: 0, encoded: nothing };
  while (!inner.isCut && inner.at < inner.end) {
    const tag = inner.next();
    if (tag === 8) properties.index = inner.next32();
    else if (tag === 18) properties.encoded = inner.blob();
    else return false;
  }
  batch.properties.push(properties);
  return !inner.isCut;
}

function readSource(batch: Batch, reader: VarintReader): boolean {
  const inner = reader.nested();
  const source = { epoch: '', lane: 0 };
  while (!inner.isCut && inner.at < inner.end) {
    const tag = inner.next();
    if (tag === 10) source.epoch = inner.text();
    else if (tag === 16) source.lane = inner.next32();
    else return false;
  }
  batch.sources.push(source);
  return !inner.isCut;
}
