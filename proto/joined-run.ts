/** Publications as the frames of a run, when they did not come as one. */
import type { Publication } from '../base/publication.ts';
import { Run } from './run.ts';
import { variableBytes, writeVariable } from './variable-byte-integer.ts';

/** Whether both fit into one run. */
export function canJoin(one: Publication, other: Publication): boolean {
  return (
    one.topic === other.topic &&
    one.qos === other.qos &&
    one.acceptedAt === other.acceptedAt &&
    one.origin === other.origin &&
    isPlain(one) &&
    isPlain(other)
  );
}

function isPlain({ properties, retain }: Publication): boolean {
  return properties === null && !retain;
}

/** A run of publications that can be joined, at least one; their payloads are copied. Packet
 * identifiers are for whoever writes the frames to set. */
export function joinedRun(publications: readonly Publication[]): Run {
  const [{ acceptedAt, origin, qos, topic }] = publications as [Publication];
  const topicBytes = Buffer.byteLength(topic);
  const fieldBytes = 2 + topicBytes + (qos > 0 ? 2 : 0);
  let bytes = 0;
  for (const { payload } of publications) {
    const length = fieldBytes + payload.length;
    bytes += 1 + variableBytes(length) + length;
  }
  const buffer = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  let topicAt = -1;
  for (const { payload } of publications) {
    buffer[at++] = 0x30 | (qos << 1);
    at = writeVariable(buffer, at, fieldBytes + payload.length);
    if (topicAt < 0) {
      topicAt = at;
      buffer.writeUInt16BE(topicBytes, at);
      buffer.write(topic, at + 2);
    } else {
      buffer.copyWithin(at, topicAt, topicAt + 2 + topicBytes);
    }
    at += 2 + topicBytes;
    if (qos > 0) {
      buffer[at++] = 0;
      buffer[at++] = 0;
    }
    buffer.set(payload, at);
    at += payload.length;
  }
  const head = { topic, topicBytes, qos, form: 4, acceptedAt, origin } as const;
  return new Run({ ...head, count: publications.length }, { buffer, start: 0, end: at });
}
