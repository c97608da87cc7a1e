/**
 * One record of the spool as bytes: a publication, the same with the place where it entered
 * elsewhere, a run of publications (`spool-run.ts`), a release (PUBREL), and the state that each
 * segment opens with, so that a segment can be freed without losing the lanes' counters.
 */
import type { Publication, Qos } from '../base/publication.ts';
import type { SourcePlace } from '../base/source.ts';
import type { Barrier } from './lane-barriers.ts';
import type { StoredSources } from './seen-sources.ts';
import { recordHeaderBytes, seal } from './spool-frame.ts';
import { decodeRun, encodeRun, type RunRecord, runKind } from './spool-run.ts';

const kinds = { publication: 1, release: 2, state: 3, sourced: 5 } as const;
const flagRetain = 0x04;
const flagUp = 0x08;
const flagDown = 0x10;
const publicationFixedBytes = 32;
/** Behind them, of a publication with a source: sequence, lane and length of the epoch. */
const sourceFixedBytes = 12;

export interface PublicationRecord {
  readonly kind: 'publication';
  readonly publication: Publication;
  /** Goes up: its place on its lane. Came down: its position in the core's log of that lane. */
  readonly direction: 'up' | 'down' | 'local';
  readonly lane: number;
  readonly place: number;
  readonly clientId: string;
  readonly packetId: number;
  /** Came down: where it entered, as far as the core told. */
  readonly from: SourcePlace | null;
}

export interface ReleaseRecord {
  readonly kind: 'release';
  readonly clientId: string;
  readonly packetId: number;
}

export interface StateRecord {
  readonly kind: 'state';
  /** Needs no state record before it. */
  readonly isFull: boolean;
  /** The last sequence given out on each lane. */
  readonly laneSequences: readonly number[];
  /** Durable at the core through these, and retained from these on. */
  readonly acknowledged: readonly number[];
  readonly oldest: readonly number[];
  /** The lane map in force, from this spool sequence on; empty in spools of before. */
  readonly mapId: string;
  readonly mapSince: number;
  readonly barriers: readonly Barrier[];
  readonly logEpoch: string;
  /** Where the downlink of each lane stands, in the log of that epoch. */
  readonly positions: readonly number[];
  /** Those that changed since the state record before; all that are known when it is full. */
  readonly sources: StoredSources;
}

/** What records of before do not say. */
const emptyState: StateRecord = {
  kind: 'state',
  isFull: true,
  laneSequences: [],
  acknowledged: [],
  oldest: [],
  mapId: '',
  mapSince: 0,
  barriers: [],
  logEpoch: '',
  positions: [],
  sources: [],
};

/** As it is read back: one record for one sequence. */
export type SpoolRecord = PublicationRecord | ReleaseRecord | StateRecord;

export function encodeRecord(record: SpoolRecord | RunRecord): Buffer {
  if (record.kind === 'run') return encodeRun(record);
  return seal(frame(record));
}

function frame(record: SpoolRecord): Buffer {
  switch (record.kind) {
    case 'publication':
      return publicationFrame(record);
    case 'release':
      return releaseFrame(record);
    case 'state':
      return jsonFrame(record);
  }
}

function publicationFrame(record: PublicationRecord): Buffer {
  const { clientId, from, publication } = record;
  const { topic, origin, payload, properties } = publication;
  const clientIdBytes = Buffer.byteLength(clientId);
  const topicBytes = Buffer.byteLength(topic);
  const originBytes = Buffer.byteLength(origin);
  const propertiesBytes = properties?.length ?? 0;
  const epochBytes = from === null ? 0 : Buffer.byteLength(from.source.epoch);
  const fixedBytes = publicationFixedBytes + (from === null ? 0 : sourceFixedBytes + epochBytes);
  const textBytes = clientIdBytes + topicBytes + originBytes;
  const bodyBytes = fixedBytes + textBytes + propertiesBytes + payload.length;
  const bytes = Buffer.allocUnsafe(recordHeaderBytes + bodyBytes);
  let at = recordHeaderBytes;
  at = bytes.writeUInt8(from === null ? kinds.publication : kinds.sourced, at);
  at = bytes.writeUInt8(flagsOf(record), at);
  at = bytes.writeUInt16LE(record.lane, at);
  at = bytes.writeUInt16LE(record.packetId, at);
  at = bytes.writeUInt16LE(clientIdBytes, at);
  at = bytes.writeUInt16LE(topicBytes, at);
  at = bytes.writeUInt16LE(originBytes, at);
  at = bytes.writeUInt32LE(propertiesBytes, at);
  at = bytes.writeDoubleLE(publication.acceptedAt, at);
  at = bytes.writeDoubleLE(record.place, at);
  if (from !== null) at = writeSource(bytes, at, { from, epochBytes });
  at += bytes.write(clientId, at);
  at += bytes.write(topic, at);
  at += bytes.write(origin, at);
  if (properties !== null) at += properties.copy(bytes, at);
  payload.copy(bytes, at);
  return bytes;
}

function writeSource(
  bytes: Buffer,
  start: number,
  { from, epochBytes }: { readonly from: SourcePlace; readonly epochBytes: number },
): number {
  let at = bytes.writeDoubleLE(from.sequence, start);
  at = bytes.writeUInt16LE(from.source.lane, at);
  at = bytes.writeUInt16LE(epochBytes, at);
  return at + bytes.write(from.source.epoch, at);
}

function flagsOf(record: PublicationRecord): number {
  const { qos, retain } = record.publication;
  const direction = record.direction === 'up' ? flagUp : record.direction === 'down' ? flagDown : 0;
  return qos | (retain ? flagRetain : 0) | direction;
}

function releaseFrame(record: ReleaseRecord): Buffer {
  const bytes = Buffer.allocUnsafe(recordHeaderBytes + 3 + Buffer.byteLength(record.clientId));
  bytes.writeUInt8(kinds.release, recordHeaderBytes);
  bytes.writeUInt16LE(record.packetId, recordHeaderBytes + 1);
  bytes.write(record.clientId, recordHeaderBytes + 3);
  return bytes;
}

function jsonFrame(record: StateRecord): Buffer {
  const json = JSON.stringify(record);
  const bytes = Buffer.allocUnsafe(recordHeaderBytes + 1 + Buffer.byteLength(json));
  bytes.writeUInt8(kinds.state, recordHeaderBytes);
  bytes.write(json, recordHeaderBytes + 1);
  return bytes;
}

/** What is between `at` and `end`, as `recordEnd` found it: one record, or those of a run. Payloads
 * are views. */
export function decodeRecords(bytes: Buffer, at: number, end: number): SpoolRecord[] {
  const body = bytes.subarray(at + recordHeaderBytes, end);
  switch (body[0]) {
    case kinds.publication:
    case kinds.sourced:
      return [decodePublication(body)];
    case runKind:
      return decodeRun(body);
    case kinds.release: {
      const clientId = body.toString('utf8', 3);
      return [{ kind: 'release', packetId: body.readUInt16LE(1), clientId }];
    }
    default: {
      const state: Partial<StateRecord> = JSON.parse(body.toString('utf8', 1));
      return [{ ...emptyState, ...state }];
    }
  }
}

function decodePublication(body: Buffer): PublicationRecord {
  const flags = body.readUInt8(1);
  const isSourced = body[0] === kinds.sourced;
  const epochEnd = isSourced
    ? publicationFixedBytes + sourceFixedBytes + body.readUInt16LE(publicationFixedBytes + 10)
    : publicationFixedBytes;
  const clientIdEnd = epochEnd + body.readUInt16LE(6);
  const topicEnd = clientIdEnd + body.readUInt16LE(8);
  const originEnd = topicEnd + body.readUInt16LE(10);
  const propertiesEnd = originEnd + body.readUInt32LE(12);
  const origin = body.toString('utf8', topicEnd, originEnd);
  return {
    kind: 'publication',
    direction: directionOf(flags),
    lane: body.readUInt16LE(2),
    packetId: body.readUInt16LE(4),
    place: body.readDoubleLE(24),
    clientId: body.toString('utf8', epochEnd, clientIdEnd),
    from: isSourced ? readSource(body, { origin, epochEnd }) : null,
    publication: {
      topic: body.toString('utf8', clientIdEnd, topicEnd),
      origin,
      properties: propertiesEnd > originEnd ? body.subarray(originEnd, propertiesEnd) : null,
      payload: body.subarray(propertiesEnd),
      qos: (flags & 0x03) as Qos,
      retain: (flags & flagRetain) !== 0,
      acceptedAt: body.readDoubleLE(16),
    },
  };
}

function readSource(
  body: Buffer,
  { origin, epochEnd }: { readonly origin: string; readonly epochEnd: number },
): SourcePlace {
  const at = publicationFixedBytes;
  const epoch = body.toString('utf8', at + sourceFixedBytes, epochEnd);
  const source = { origin, epoch, lane: body.readUInt16LE(at + 8) };
  return { source, sequence: body.readDoubleLE(at) };
}

function directionOf(flags: number): PublicationRecord['direction'] {
  if ((flags & flagUp) !== 0) return 'up';
  return (flags & flagDown) !== 0 ? 'down' : 'local';
}
