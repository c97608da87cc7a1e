/**
 * Frames of the message flow, which Trunkline writes itself: PUBLISH and its acknowledgements.
 * Source: MQTT 3.1.1 and MQTT 5, sections 3.3 to 3.7.
 */
import type { Qos } from '../../base/publication.ts';
import { variableBytes, writeVariable } from '../../proto/variable-byte-integer.ts';

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
  auth: 15,
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
  /** MQTT 5: encoded, with their length in front. Null for MQTT 3.1 and 3.1.1. */
  readonly properties: Buffer | null;
}

/** A PUBLISH frame as one or two buffers; a large payload is passed on by reference. */
export function publishFrame(topic: string, payload: Buffer, head: PublishHead): Buffer[] {
  const { properties } = head;
  const topicBytes = Buffer.byteLength(topic);
  const headBytes = 2 + topicBytes + (head.qos > 0 ? 2 : 0) + (properties?.length ?? 0);
  const remaining = headBytes + payload.length;
  const isInline = payload.length <= inlinePayloadMax;
  const bytes = Buffer.allocUnsafe(
    1 + variableBytes(remaining) + (isInline ? remaining : headBytes),
  );
  bytes[0] = 0x30 | (head.dup ? 8 : 0) | (head.qos << 1) | (head.retain ? 1 : 0);
  let at = writeVariable(bytes, 1, remaining);
  at = bytes.writeUInt16BE(topicBytes, at);
  at += bytes.write(topic, at);
  if (head.qos > 0) at = bytes.writeUInt16BE(head.packetId, at);
  if (properties !== null) at += properties.copy(bytes, at);
  if (!isInline) return [bytes, payload];
  payload.copy(bytes, at);
  return [bytes];
}

/** First bytes of the acknowledgements; PUBREL has a flag that must be set. */
export const ackHeads = { puback: 0x40, pubrec: 0x50, pubrel: 0x62, pubcomp: 0x70 } as const;

/** PUBACK, PUBREC, PUBREL or PUBCOMP; a reason code other than success is for MQTT 5 only. */
export function ackFrame(head: number, packetId: number, reasonCode = 0): Buffer {
  if (reasonCode === 0) return Buffer.from([head, 2, packetId >> 8, packetId & 0xff]);
  return Buffer.from([head, 3, packetId >> 8, packetId & 0xff, reasonCode]);
}

/** One return code for each filter, in order. */
export function subackFrame(packetId: number, codes: readonly number[]): Buffer {
  const remaining = 2 + codes.length;
  const bytes = Buffer.allocUnsafe(1 + variableBytes(remaining) + remaining);
  bytes[0] = 0x90;
  const at = bytes.writeUInt16BE(packetId, writeVariable(bytes, 1, remaining));
  bytes.set(codes, at);
  return bytes;
}

export function connackFrame(returnCode: number): Buffer {
  return Buffer.from([0x20, 2, 0, returnCode]);
}
