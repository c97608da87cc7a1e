/**
 * A run of publications as one record of the spool: a short head, then the PUBLISH frames as they
 * came. It takes as many sequences as it has publications, and is read back as one record for each.
 */
import type { Qos } from '../base/publication.ts';
import type { SourcePlace } from '../base/source.ts';
import { type FrameForm, FrameWalk, Run } from '../proto/run.ts';
import { recordHeaderBytes, seal } from './spool-frame.ts';
import type { PublicationRecord } from './spool-record.ts';

export const runKind = 4;
const flagUp = 0x08;
const flagDown = 0x10;
const flagForm5 = 0x20;
const fixedBytes = 28;
/** Behind the client identifier, of a run that came down: sequence, lane, lengths of two texts. */
const entryFixedBytes = 14;

export interface RunRecord {
  readonly kind: 'run';
  readonly run: Run;
  readonly direction: PublicationRecord['direction'];
  readonly lane: number;
  /** As in a publication's record, of the first; the others follow without gaps. */
  readonly place: number;
  /** As in a publication's record: of QoS 2 from a kept session, or empty. */
  readonly clientId: string;
  /** As in a publication's record, of the first; the others' sequences follow without gaps. */
  readonly from: SourcePlace | null;
}

/** Also moves the run to the record's bytes, so that it keeps no other buffer. */
export function encodeRun(record: RunRecord): Buffer {
  const { run, clientId, direction, lane, place } = record;
  const { buffer, start, end } = run.frames;
  const clientIdBytes = clientId === '' ? 0 : Buffer.byteLength(clientId);
  const entry = direction === 'down' ? encodeEntry(record) : null;
  const framesAt = recordHeaderBytes + fixedBytes + clientIdBytes + (entry?.length ?? 0);
  const bytes = Buffer.allocUnsafe(framesAt + end - start);
  let at = recordHeaderBytes;
  bytes[at] = runKind;
  bytes[at + 1] = run.qos | flagOf(direction) | (run.form === 5 ? flagForm5 : 0);
  at = bytes.writeUInt16LE(lane, at + 2);
  at = bytes.writeUInt16LE(clientIdBytes, at);
  at = bytes.writeUInt16LE(run.topicBytes, at);
  at = bytes.writeUInt32LE(run.count, at);
  at = bytes.writeDoubleLE(run.acceptedAt, at);
  at = bytes.writeDoubleLE(place, at);
  if (clientIdBytes > 0) at += bytes.write(clientId, at);
  entry?.copy(bytes, at);
  buffer.copy(bytes, framesAt, start, end);
  run.moveTo({ buffer: bytes, start: framesAt, end: bytes.length });
  return seal(bytes);
}

/** The publications of a run's record, in order. Payloads are views of the body. */
export function decodeRun(body: Buffer): PublicationRecord[] {
  const flags = body.readUInt8(1);
  const clientIdEnd = fixedBytes + body.readUInt16LE(4);
  const clientId = body.toString('utf8', fixedBytes, clientIdEnd);
  const topicBytes = body.readUInt16LE(6);
  const qos = (flags & 0x03) as Qos;
  const form: FrameForm = (flags & flagForm5) === 0 ? 4 : 5;
  const direction = directionOf(flags);
  const entry = direction === 'down' ? decodeEntry(body, clientIdEnd) : enteredHere;
  const start = entry.end || clientIdEnd;
  const frames = { buffer: body, start, end: body.length };
  const first = new FrameWalk(frames, topicBytes);
  first.next();
  const topic = body.toString('utf8', first.bodyStart + 2, first.bodyStart + 2 + topicBytes);
  const count = body.readUInt32LE(8);
  const acceptedAt = body.readDoubleLE(12);
  const { from, origin } = entry;
  const run = new Run({ topic, topicBytes, qos, form, count, acceptedAt, origin }, frames);
  const place = body.readDoubleLE(20);
  const packetIds = clientId !== '' && qos === 2 ? run.packetIds() : null;
  return run.publications().map((publication, index) => ({
    kind: 'publication',
    publication,
    direction,
    lane: body.readUInt16LE(2),
    place: place === 0 ? 0 : place + index,
    clientId,
    packetId: packetIds?.[index] ?? 0,
    from: from === null ? null : { source: from.source, sequence: from.sequence + index },
  }));
}

/** Where a run that came down entered. */
interface Entry {
  readonly origin: string;
  readonly from: SourcePlace | null;
  /** Of its bytes. */
  readonly end: number;
}

const enteredHere: Entry = { origin: '', from: null, end: 0 };

function encodeEntry({ run, from }: RunRecord): Buffer {
  const epoch = from?.source.epoch ?? '';
  const originBytes = Buffer.byteLength(run.origin);
  const bytes = Buffer.allocUnsafe(entryFixedBytes + originBytes + Buffer.byteLength(epoch));
  // No publication has the sequence 0.
  let at = bytes.writeDoubleLE(from?.sequence ?? 0, 0);
  at = bytes.writeUInt16LE(from?.source.lane ?? 0, at);
  at = bytes.writeUInt16LE(originBytes, at);
  at = bytes.writeUInt16LE(bytes.length - entryFixedBytes - originBytes, at);
  at += bytes.write(run.origin, at);
  bytes.write(epoch, at);
  return bytes;
}

function decodeEntry(body: Buffer, at: number): Entry {
  const sequence = body.readDoubleLE(at);
  const originAt = at + entryFixedBytes;
  const epochAt = originAt + body.readUInt16LE(at + 10);
  const end = epochAt + body.readUInt16LE(at + 12);
  const origin = body.toString('utf8', originAt, epochAt);
  if (sequence === 0) return { origin, from: null, end };
  const epoch = body.toString('utf8', epochAt, end);
  return {
    origin,
    from: { source: { origin, epoch, lane: body.readUInt16LE(at + 8) }, sequence },
    end,
  };
}

function flagOf(direction: RunRecord['direction']): number {
  if (direction === 'up') return flagUp;
  return direction === 'down' ? flagDown : 0;
}

function directionOf(flags: number): RunRecord['direction'] {
  if ((flags & flagUp) !== 0) return 'up';
  return (flags & flagDown) === 0 ? 'local' : 'down';
}
