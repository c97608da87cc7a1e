/**
 * A run of publications as one record of the spool: a short head, then the PUBLISH frames as they
 * came. It takes as many sequences as it has publications, and is read back as one record for each.
 */
import type { Qos } from '../base/publication.ts';
import { type FrameForm, FrameWalk, Run } from '../proto/run.ts';
import { recordHeaderBytes, seal } from './spool-frame.ts';
import type { PublicationRecord } from './spool-record.ts';

export const runKind = 4;
const flagUp = 0x08;
const flagForm5 = 0x20;
const fixedBytes = 28;

export interface RunRecord {
  readonly kind: 'run';
  readonly run: Run;
  readonly direction: 'up' | 'local';
  readonly lane: number;
  /** On its lane, of the first; the others follow without gaps. */
  readonly place: number;
  /** As in a publication's record: of QoS 2 from a kept session, or empty. */
  readonly clientId: string;
}

/** Also moves the run to the record's bytes, so that it keeps no other buffer. */
export function encodeRun({ run, clientId, direction, lane, place }: RunRecord): Buffer {
  const { buffer, start, end } = run.frames;
  const clientIdBytes = clientId === '' ? 0 : Buffer.byteLength(clientId);
  const framesAt = recordHeaderBytes + fixedBytes + clientIdBytes;
  const bytes = Buffer.allocUnsafe(framesAt + end - start);
  let at = recordHeaderBytes;
  bytes[at] = runKind;
  bytes[at + 1] = run.qos | (direction === 'up' ? flagUp : 0) | (run.form === 5 ? flagForm5 : 0);
  at = bytes.writeUInt16LE(lane, at + 2);
  at = bytes.writeUInt16LE(clientIdBytes, at);
  at = bytes.writeUInt16LE(run.topicBytes, at);
  at = bytes.writeUInt32LE(run.count, at);
  at = bytes.writeDoubleLE(run.acceptedAt, at);
  at = bytes.writeDoubleLE(place, at);
  if (clientIdBytes > 0) bytes.write(clientId, at);
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
  const frames = { buffer: body, start: clientIdEnd, end: body.length };
  const first = new FrameWalk(frames, topicBytes);
  first.next();
  const topic = body.toString('utf8', first.bodyStart + 2, first.bodyStart + 2 + topicBytes);
  const count = body.readUInt32LE(8);
  const acceptedAt = body.readDoubleLE(12);
  const run = new Run({ topic, topicBytes, qos, form, count, acceptedAt }, frames);
  const place = body.readDoubleLE(20);
  const packetIds = clientId !== '' && qos === 2 ? run.packetIds() : null;
  return run.publications().map((publication, index) => ({
    kind: 'publication',
    publication,
    direction: (flags & flagUp) === 0 ? 'local' : 'up',
    lane: body.readUInt16LE(2),
    place: place === 0 ? 0 : place + index,
    clientId,
    packetId: packetIds?.[index] ?? 0,
    from: null,
  }));
}
