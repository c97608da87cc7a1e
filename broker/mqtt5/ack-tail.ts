/**
 * What follows the packet identifier in PUBACK, PUBREC, PUBREL and PUBCOMP of a client: a reason code,
 * and properties perhaps. Source: MQTT 5 sections 3.4.2 to 3.7.2.
 */
import { Fields } from '../connection/fields.ts';
import { packetTypes } from '../connection/frames.ts';
import { takeProperties } from './properties.ts';
import { type ReasonCode, reasonCodes } from './reason-codes.ts';

/** [MQTT-3.4.2-1], [MQTT-3.5.2-1] */
const ofReceipt: ReadonlySet<number> = new Set([
  reasonCodes.success,
  reasonCodes.noMatchingSubscribers,
  reasonCodes.unspecifiedError,
  reasonCodes.implementationSpecificError,
  reasonCodes.notAuthorized,
  reasonCodes.topicNameInvalid,
  reasonCodes.packetIdentifierInUse,
  reasonCodes.quotaExceeded,
  reasonCodes.payloadFormatInvalid,
]);

/** [MQTT-3.6.2-1], [MQTT-3.7.2-1] */
const ofRelease: ReadonlySet<number> = new Set([
  reasonCodes.success,
  reasonCodes.packetIdentifierNotFound,
]);

/** The fault of an acknowledgement with more than a packet identifier, or null. */
export function ackTailFault(
  type: number,
  { buffer, at, end }: { readonly buffer: Buffer; readonly at: number; readonly end: number },
): ReasonCode | null {
  const isReceipt = type === packetTypes.puback || type === packetTypes.pubrec;
  const allowed = isReceipt ? ofReceipt : ofRelease;
  if (!allowed.has(buffer[at] as number)) return reasonCodes.protocolError;
  if (at + 1 === end) return null;
  const fields = new Fields(buffer, at + 1, end);
  const properties = takeProperties(fields, 'puback');
  if (typeof properties === 'number') return properties;
  return fields.isDone ? null : reasonCodes.malformedPacket;
}
