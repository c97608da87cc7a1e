/**
 * MQTT frames cut out of a stream of bytes, and PUBLISH taken apart and put together anew. Packets
 * that only pass through are not decoded.
 * Source: MQTT 3.1.1 and MQTT 5, sections 2.1 and 3.3.
 */
import { readVariable, variableBytes, writeVariable } from '../../proto/variable-byte-integer.ts';

export const packetTypes = {
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
} as const;

/** Layout of packets: 4 for MQTT 3.1.1. */
export type Version = 4 | 5;

const none = Buffer.alloc(0);

export class FrameSplitter {
  readonly #bytesMax: number;
  #bytes: Buffer = none;

  /** A frame that is longer is a fault. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  push(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
  }

  /** The next whole frame, or null. Throws when the bytes are none of MQTT. */
  next(): Buffer | null {
    const bytes = this.#bytes;
    if (bytes.length < 2) return null;
    const length = readVariable(bytes, 1, bytes.length);
    if (length < 0) {
      if (bytes.length < 5) return null;
      throw new Error('a packet has no sound length');
    }
    const end = 1 + variableBytes(length) + length;
    if (end > this.#bytesMax) throw new Error(`a packet of ${end} bytes is too large`);
    if (end > bytes.length) return null;
    this.#bytes = bytes.subarray(end);
    return bytes.subarray(0, end);
  }
}

export function typeOf(frame: Buffer): number {
  return (frame[0] as number) >> 4;
}

export interface Publish {
  readonly topic: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly dup: boolean;
  /** 0 with QoS 0. */
  readonly packetId: number;
  /** Encoded, without their length. */
  readonly properties: Buffer;
  readonly payload: Buffer;
}

/** Throws when the frame is cut off. */
export function readPublish(frame: Buffer, version: Version): Publish {
  const flags = frame[0] as number;
  let at = bodyOf(frame);
  const topicEnd = at + 2 + frame.readUInt16BE(at);
  const topic = frame.toString('utf8', at + 2, topicEnd);
  const qos = ((flags >> 1) & 3) as 0 | 1 | 2;
  at = topicEnd;
  let packetId = 0;
  if (qos > 0) {
    packetId = frame.readUInt16BE(at);
    at += 2;
  }
  let properties: Buffer = none;
  if (version === 5) {
    const length = readVariable(frame, at, frame.length);
    if (length < 0) throw new Error('a PUBLISH has no sound properties');
    at += variableBytes(length);
    properties = frame.subarray(at, at + length);
    at += length;
  }
  if (at > frame.length) throw new Error('a PUBLISH is cut off');
  const payload = frame.subarray(at);
  const isRetained = (flags & 1) !== 0;
  return { topic, qos, retain: isRetained, dup: (flags & 8) !== 0, packetId, properties, payload };
}

export function writePublish(publish: Publish, version: Version): Buffer {
  const { qos, retain, dup, packetId, payload } = publish;
  const topic = Buffer.from(publish.topic);
  const properties = version === 5 ? publish.properties : none;
  const propertiesBytes = version === 5 ? variableBytes(properties.length) + properties.length : 0;
  const length = 2 + topic.length + (qos > 0 ? 2 : 0) + propertiesBytes + payload.length;
  const frame = Buffer.allocUnsafe(1 + variableBytes(length) + length);
  frame[0] = (packetTypes.publish << 4) | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  let at = writeVariable(frame, 1, length);
  at = frame.writeUInt16BE(topic.length, at);
  at += topic.copy(frame, at);
  if (qos > 0) at = frame.writeUInt16BE(packetId, at);
  if (version === 5) {
    at = writeVariable(frame, at, properties.length);
    at += properties.copy(frame, at);
  }
  payload.copy(frame, at);
  return frame;
}

export interface Ack {
  readonly type: number;
  readonly packetId: number;
  /** 0 for success, and in MQTT 3.1.1. */
  readonly reasonCode: number;
}

export function readAck(frame: Buffer): Ack {
  const at = bodyOf(frame);
  const reasonCode = at + 2 < frame.length ? (frame[at + 2] as number) : 0;
  return { type: typeOf(frame), packetId: frame.readUInt16BE(at), reasonCode };
}

export function writeAck({ type, packetId, reasonCode }: Ack, version: Version): Buffer {
  const hasCode = version === 5 && reasonCode !== 0;
  const frame = Buffer.alloc(hasCode ? 5 : 4);
  frame[0] = (type << 4) | (type === packetTypes.pubrel ? 2 : 0);
  frame[1] = frame.length - 2;
  frame.writeUInt16BE(packetId, 2);
  if (hasCode) frame[4] = reasonCode;
  return frame;
}

function bodyOf(frame: Buffer): number {
  return 1 + variableBytes(readVariable(frame, 1, frame.length));
}
