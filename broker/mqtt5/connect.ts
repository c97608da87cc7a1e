/**
 * CONNECT of MQTT 5: read, judged, and said again in MQTT 3.1.1 for Aedes.
 * Source: MQTT 5 section 3.1.
 */
import { isUtf8 } from 'node:buffer';
import type { Qos } from '../../base/publication.ts';
import { variableBytes, writeVariable } from '../../proto/variable-byte-integer.ts';
import type { Will } from '../connect-request.ts';
import { Fields } from '../connection/fields.ts';
import type { FrameScanner } from '../connection/frame-scanner.ts';
import { encodeProperties, type Properties, takeProperties } from './properties.ts';
import { storedProperties } from './publish-properties.ts';
import { type ReasonCode, reasonCodes } from './reason-codes.ts';

export interface Connect5 {
  readonly clientId: string;
  readonly cleanStart: boolean;
  readonly keepAliveSeconds: number;
  readonly properties: Properties;
  readonly username: string | null;
  readonly password: Buffer | null;
  readonly will: Will | null;
}

const connectFlags = {
  reserved: 0x01,
  cleanStart: 0x02,
  will: 0x04,
  willQos: 0x18,
  willRetain: 0x20,
  password: 0x40,
  username: 0x80,
} as const;

/** The CONNECT, or the reason code of the CONNACK that refuses it. */
export function readConnect(frame: FrameScanner): Connect5 | ReasonCode {
  const fields = new Fields(frame.buffer, frame.bodyStart, frame.end);
  const name = fields.text();
  fields.byte(); // The protocol level, which led here.
  const flags = fields.byte();
  const keepAliveSeconds = fields.uint16();
  if (fields.isWhole && name !== 'MQTT') return reasonCodes.unsupportedProtocolVersion;
  if (frame.flags !== 0 || !areFlagsSound(flags)) return reasonCodes.malformedPacket;
  const properties = takeProperties(fields, 'connect');
  if (typeof properties === 'number') return properties;
  const clientId = fields.text();
  const will = (flags & connectFlags.will) === 0 ? null : takeWill(fields, flags);
  if (typeof will === 'number') return will;
  const username = (flags & connectFlags.username) === 0 ? null : fields.text();
  const password = (flags & connectFlags.password) === 0 ? null : Buffer.from(fields.binary());
  if (!fields.isDone) return reasonCodes.malformedPacket;
  if (properties.authenticationData !== undefined && properties.authenticationMethod === undefined)
    return reasonCodes.protocolError;
  const cleanStart = (flags & connectFlags.cleanStart) !== 0;
  return { clientId, cleanStart, keepAliveSeconds, properties, username, password, will };
}

/** The MQTT 3.1.1 CONNECT that has Aedes hold the connection. Credentials and will stay here. */
export function connect311(connect: {
  readonly clientId: string;
  readonly isKept: boolean;
  readonly keepAliveSeconds: number;
}): Buffer {
  const { clientId, isKept, keepAliveSeconds } = connect;
  const idBytes = Buffer.byteLength(clientId);
  const remaining = 12 + idBytes;
  const bytes = Buffer.allocUnsafe(1 + variableBytes(remaining) + remaining);
  bytes[0] = 0x10;
  let at = writeVariable(bytes, 1, remaining);
  at += Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, isKept ? 0 : 2]).copy(bytes, at);
  at = bytes.writeUInt16BE(keepAliveSeconds, at);
  at = bytes.writeUInt16BE(idBytes, at);
  bytes.write(clientId, at);
  return bytes;
}

function areFlagsSound(flags: number): boolean {
  if ((flags & connectFlags.reserved) !== 0) return false; // [MQTT-3.1.2-3]
  // [MQTT-3.1.2-12]
  if ((flags & connectFlags.willQos) === connectFlags.willQos) return false;
  // [MQTT-3.1.2-11], [MQTT-3.1.2-13]
  const ofWill = connectFlags.willQos | connectFlags.willRetain;
  return (flags & connectFlags.will) !== 0 || (flags & ofWill) === 0;
}

function takeWill(fields: Fields, flags: number): Will | ReasonCode {
  const properties = takeProperties(fields, 'will');
  if (typeof properties === 'number') return properties;
  const topic = fields.text();
  const payload = Buffer.from(fields.binary());
  if (!fields.isWhole) return reasonCodes.malformedPacket;
  if (properties.payloadFormatIndicator === 1 && !isUtf8(payload)) {
    return reasonCodes.payloadFormatInvalid;
  }
  const { willDelayInterval = 0, messageExpiryInterval = -1, ...kept } = properties;
  const encoded = encodeProperties(kept);
  return {
    topic,
    payload,
    qos: ((flags & connectFlags.willQos) >> 3) as Qos,
    retain: (flags & connectFlags.willRetain) !== 0,
    properties: storedProperties(encoded.length === 0 ? null : encoded, messageExpiryInterval),
    delaySeconds: willDelayInterval,
  };
}
