/**
 * DISCONNECT of MQTT 5 both ways: what a client says with it, and what a connection that ends on
 * this side says.
 * Source: MQTT 5 section 3.14.
 */
import type { CloseReason } from '../connection/connection-port.ts';
import { Fields } from '../connection/fields.ts';
import type { FrameScanner } from '../connection/frame-scanner.ts';
import { takeProperties } from './properties.ts';
import { type ReasonCode, reasonCodes } from './reason-codes.ts';

export interface Disconnect {
  readonly reasonCode: number;
  /** Seconds; null when the client leaves the session's expiry as it is. */
  readonly sessionExpiry: number | null;
}

/** Reason codes that a client may send (table 3-13). */
const fromClient: ReadonlySet<number> = new Set([
  reasonCodes.normalDisconnection,
  reasonCodes.disconnectWithWill,
  reasonCodes.unspecifiedError,
  reasonCodes.malformedPacket,
  reasonCodes.protocolError,
  reasonCodes.implementationSpecificError,
  reasonCodes.topicNameInvalid,
  reasonCodes.receiveMaximumExceeded,
  reasonCodes.topicAliasInvalid,
  reasonCodes.packetTooLarge,
  reasonCodes.messageRateTooHigh,
  reasonCodes.quotaExceeded,
  reasonCodes.administrativeAction,
  reasonCodes.payloadFormatInvalid,
]);

/** What a connection's end is called, and why it happened, for the client's log. */
const farewells = new Map<CloseReason, readonly [ReasonCode, string]>([
  ['malformed', [reasonCodes.malformedPacket, 'The packet is malformed.']],
  ['protocol-error', [reasonCodes.protocolError, 'The packet is not allowed here.']],
  ['packet-too-large', [reasonCodes.packetTooLarge, 'The packet is larger than allowed.']],
  ['not-authorized', [reasonCodes.notAuthorized, 'The client may not do that.']],
  [
    'credentials-expired',
    [reasonCodes.maximumConnectTime, 'The credential has expired: connect with a new one.'],
  ],
  ['taken-over', [reasonCodes.sessionTakenOver, 'Another connection has this identifier now.']],
  ['quota-exceeded', [reasonCodes.quotaExceeded, 'A quota of the server is used up.']],
  ['too-many-filters', [reasonCodes.quotaExceeded, 'The packet has too many filters.']],
  ['slow-reader', [reasonCodes.quotaExceeded, 'The client did not read what was sent to it.']],
  ['keep-alive-timeout', [reasonCodes.keepAliveTimeout, 'Nothing came within the keep alive.']],
  [
    'receive-maximum-exceeded',
    [reasonCodes.receiveMaximumExceeded, 'More is unacknowledged than the receive maximum.'],
  ],
  ['topic-alias-invalid', [reasonCodes.topicAliasInvalid, 'The topic alias is not valid.']],
  ['topic-name-invalid', [reasonCodes.topicNameInvalid, 'The topic name is not valid.']],
  [
    'payload-format-invalid',
    [reasonCodes.payloadFormatInvalid, 'The payload is not in the format that it claims.'],
  ],
  ['overloaded', [reasonCodes.serverBusy, 'The server has too much to do.']],
  ['shutting-down', [reasonCodes.serverShuttingDown, 'The server is shutting down.']],
]);

/** What the client said, or the reason code of the DISCONNECT that answers it. */
export function readDisconnect(frame: FrameScanner): Disconnect | ReasonCode {
  if (frame.flags !== 0) return reasonCodes.malformedPacket; // [MQTT-3.14.1-1]
  const length = frame.end - frame.bodyStart;
  if (length === 0) return { reasonCode: reasonCodes.normalDisconnection, sessionExpiry: null };
  const fields = new Fields(frame.buffer, frame.bodyStart, frame.end);
  const reasonCode = fields.byte();
  if (!fromClient.has(reasonCode)) return reasonCodes.protocolError; // [MQTT-3.14.2-1]
  if (length === 1) return { reasonCode, sessionExpiry: null };
  const properties = takeProperties(fields, 'disconnect');
  if (typeof properties === 'number') return properties;
  if (!fields.isDone) return reasonCodes.malformedPacket;
  // Only a server names another one (section 3.14.2.2.5).
  if (properties.serverReference !== undefined) return reasonCodes.protocolError;
  return { reasonCode, sessionExpiry: properties.sessionExpiryInterval ?? null };
}

/** Reason code and reason string for a connection that ends so; undefined when nothing is said. */
export function farewellOf(reason: CloseReason): readonly [ReasonCode, string] | undefined {
  return farewells.get(reason);
}

/** The reason to end a connection for what was wrong with one of its packets. */
export function closeReasonOf(fault: ReasonCode): CloseReason {
  for (const [reason, [code]] of farewells) if (code === fault) return reason;
  return 'protocol-error';
}
