/**
 * SUBSCRIBE and UNSUBSCRIBE of MQTT 5, and their acknowledgements.
 * Source: MQTT 5 sections 3.8 to 3.11.
 */

import type { Qos } from '../../base/publication.ts';
import { parseShare, topicFilterFault } from '../../base/topic.ts';
import { variableBytes, writeVariable } from '../../proto/variable-byte-integer.ts';
import { Fields } from '../connection/fields.ts';
import type { FrameScanner } from '../connection/frame-scanner.ts';
import type {
  RequestedFilter,
  SubscribeRequest,
  UnsubscribeRequest,
} from '../connection/request.ts';
import { type Properties, takeProperties } from './properties.ts';
import { type ReasonCode, reasonCodes } from './reason-codes.ts';

/** The request, or the reason code of the DISCONNECT that answers it. */
export function readSubscribe(
  frame: FrameScanner,
  filtersMax: number,
): SubscribeRequest | ReasonCode {
  const head = readHead(frame, 'subscribe');
  if (typeof head === 'number') return head;
  const { fields, packetId, properties } = head;
  const identifier = properties.subscriptionIdentifiers?.[0] ?? 0;
  const filters: RequestedFilter[] = [];
  do {
    const filter = fields.text();
    const options = fields.byte();
    if (!fields.isWhole) return reasonCodes.malformedPacket;
    const requested = requestedFilter(filter, options, identifier);
    if (typeof requested === 'number') return requested;
    if (filters.length === filtersMax) return reasonCodes.quotaExceeded;
    filters.push(requested);
  } while (!fields.isDone);
  return { packetId, filters };
}

/** The request, or the reason code of the DISCONNECT that answers it. */
export function readUnsubscribe(
  frame: FrameScanner,
  filtersMax: number,
): UnsubscribeRequest | ReasonCode {
  const head = readHead(frame, 'unsubscribe');
  if (typeof head === 'number') return head;
  const { fields, packetId } = head;
  const filters: string[] = [];
  do {
    const filter = fields.text();
    const fault = fields.isWhole ? formFault(filter) : reasonCodes.malformedPacket;
    if (fault !== null) return fault;
    if (filters.length === filtersMax) return reasonCodes.quotaExceeded;
    filters.push(filter);
  } while (!fields.isDone);
  return { packetId, filters };
}

/** SUBACK (0x90) or UNSUBACK (0xb0) with a reason code for each filter, in order. */
export function acknowledgement5(
  first: 0x90 | 0xb0,
  packetId: number,
  codes: readonly number[],
): Buffer {
  const remaining = 3 + codes.length;
  const bytes = Buffer.allocUnsafe(1 + variableBytes(remaining) + remaining);
  bytes[0] = first;
  let at = bytes.writeUInt16BE(packetId, writeVariable(bytes, 1, remaining));
  bytes[at++] = 0;
  bytes.set(codes, at);
  return bytes;
}

/** Packet identifier and properties; at least one filter follows. */
function readHead(
  frame: FrameScanner,
  place: 'subscribe' | 'unsubscribe',
): { fields: Fields; packetId: number; properties: Properties } | ReasonCode {
  // [MQTT-3.8.1-1], [MQTT-3.10.1-1]
  if (frame.flags !== 2) return reasonCodes.malformedPacket;
  const fields = new Fields(frame.buffer, frame.bodyStart, frame.end);
  const packetId = fields.uint16();
  if (packetId === 0) return reasonCodes.malformedPacket; // [MQTT-2.2.1-3]
  const properties = takeProperties(fields, place);
  if (typeof properties === 'number') return properties;
  // [MQTT-3.8.3-2], [MQTT-3.10.3-2]
  return fields.isDone ? reasonCodes.protocolError : { fields, packetId, properties };
}

function requestedFilter(
  filter: string,
  options: number,
  identifier: number,
): RequestedFilter | ReasonCode {
  const fault = formFault(filter);
  if (fault !== null) return fault;
  if ((options & 0xc0) !== 0) return reasonCodes.malformedPacket; // [MQTT-3.8.3-5]
  const qos = options & 3;
  const retainHandling = (options >> 4) & 3;
  if (qos === 3 || retainHandling === 3) return reasonCodes.protocolError;
  const noLocal = (options & 4) !== 0;
  if (noLocal && parseShare(filter) !== null) return reasonCodes.protocolError; // [MQTT-3.8.3-4]
  return {
    filter,
    qos: qos as Qos,
    noLocal,
    retainAsPublished: (options & 8) !== 0,
    retainHandling: retainHandling as 0 | 1 | 2,
    identifier,
  };
}

/** A filter that is not well formed is a fault of the packet: 0x8f is for others that are not taken
 * (section 2.4), such as those that are too deep. */
function formFault(filter: string): ReasonCode | null {
  // [MQTT-4.7.1-1], [MQTT-4.7.1-2], [MQTT-4.7.3-1]
  if (filter === '' || /[^/][+#]|\+[^/]|#./su.test(filter)) return reasonCodes.malformedPacket;
  if (topicFilterFault(filter) !== null) return null;
  // [MQTT-4.8.2-1], [MQTT-4.8.2-2]
  return typeof parseShare(filter) === 'string' ? reasonCodes.protocolError : null;
}
