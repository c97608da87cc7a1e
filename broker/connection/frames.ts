/**
 * MQTT 3.1.1 frames that Trunkline writes itself: PUBLISH and the acknowledgements of its flow.
 * Source: MQTT 3.1.1 sections 3.3 to 3.7.
 */
import type { Qos } from '../../base/publication.ts';

export const packetTypes = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  disconnect: 14,
} as const;

/** CONNACK return codes of MQTT 3.1.1 section 3.2.2.3. */
export const connackCodes = {
  unacceptableProtocol: 1,
  identifierRejected: 2,
  serverUnavailable: 3,
  badCredentials: 4,
  notAuthorized: 5,
} as const;

/** Payloads up to this size are copied behind their header: one small write beats two. */
const inlinePayloadMax = 2048;

export interface PublishHead {
  readonly qos: Qos;
  readonly retain: boolean;
  readonly dup: boolean;
  /** 0 for QoS 0. */
  readonly packetId: number;
}

/** A PUBLISH frame as one or two buffers; a large payload is passed on by reference. */
export function publishFrame(topic: string, payload: Buffer, head: PublishHead): Buffer[] {
  const topicBytes = Buffer.byteLength(topic);
  const remaining = 2 + topicBytes + (head.qos > 0 ? 2 : 0) + payload.length;
  const isInline = payload.length <= inlinePayloadMax;
  const headBytes = 1 + lengthBytes(remaining) + remaining - (isInline ? 0 : payload.length);
  const bytes = Buffer.allocUnsafe(headBytes);
  bytes[0] = 0x30 | (head.dup ? 8 : 0) | (head.qos << 1) | (head.retain ? 1 : 0);
  let at = writeLength(bytes, 1, remaining);
  at = bytes.writeUInt16BE(topicBytes, at);
  at += bytes.write(topic, at);
  if (head.qos > 0) at = bytes.writeUInt16BE(head.packetId, at);
  if (!isInline) return [bytes, payload];
  payload.copy(bytes, at);
  return [bytes];
}

export function pubackFrame(packetId: number): Buffer {
  return Buffer.from([0x40, 2, packetId >> 8, packetId & 0xff]);
}

export function pubrecFrame(packetId: number): Buffer {
  return Buffer.from([0x50, 2, packetId >> 8, packetId & 0xff]);
}

export function pubrelFrame(packetId: number): Buffer {
  return Buffer.from([0x62, 2, packetId >> 8, packetId & 0xff]);
}

export function pubcompFrame(packetId: number): Buffer {
  return Buffer.from([0x70, 2, packetId >> 8, packetId & 0xff]);
}

/** One return code for each filter, in order. */
export function subackFrame(packetId: number, codes: readonly number[]): Buffer {
  const remaining = 2 + codes.length;
  const bytes = Buffer.allocUnsafe(1 + lengthBytes(remaining) + remaining);
  bytes[0] = 0x90;
  const at = bytes.writeUInt16BE(packetId, writeLength(bytes, 1, remaining));
  bytes.set(codes, at);
  return bytes;
}

export function connackFrame(returnCode: number): Buffer {
  return Buffer.from([0x20, 2, 0, returnCode]);
}

/** CONNACK of MQTT 5 with reason 0x84, Unsupported Protocol Version (MQTT 5 section 3.2.2.2). */
export function connackUnsupportedVersion5(): Buffer {
  return Buffer.from([0x20, 3, 0, 0x84, 0]);
}

function lengthBytes(length: number): number {
  if (length < 128) return 1;
  if (length < 16_384) return 2;
  return length < 2_097_152 ? 3 : 4;
}

function writeLength(bytes: Buffer, start: number, length: number): number {
  let at = start;
  let rest = length;
  do {
    const digit = rest & 0x7f;
    rest >>>= 7;
    bytes[at++] = rest > 0 ? digit | 0x80 : digit;
  } while (rest > 0);
  return at;
}
