/**
 * MQTT 3.1.1 and 3.1: what Aedes writes is what the client gets, but for what Aedes does not know.
 * Source: MQTT 3.1.1 sections 3.2 and 3.8 to 3.14.
 */
import type { CloseReason } from './connection-port.ts';
import type { Dialect, DisconnectRequest, Refusal } from './dialect.ts';
import type { FrameScanner } from './frame-scanner.ts';
import { connackFrame, subackFrame } from './frames.ts';
import { subscribeRequest, unsubscribeRequest } from './packet-check.ts';
import type { SubscribeRequest, UnsubscribeRequest } from './request.ts';

const refusedCode = 0x80;

const plainDisconnect: DisconnectRequest = { withWill: false, sessionExpirySeconds: null };

export const dialect311: Dialect = {
  form: 4,

  subscribe(frame: FrameScanner, filtersMax: number): SubscribeRequest | CloseReason {
    return orReason(subscribeRequest(frame, filtersMax));
  },

  unsubscribe(frame: FrameScanner, filtersMax: number): UnsubscribeRequest | CloseReason {
    return orReason(unsubscribeRequest(frame, filtersMax));
  },

  disconnect(frame: FrameScanner): DisconnectRequest | CloseReason {
    const isSound = frame.flags === 0 && frame.end === frame.bodyStart;
    return isSound ? plainDisconnect : 'malformed';
  },

  connack(frame311: Buffer, sessionPresent: boolean): Buffer {
    // [MQTT-3.2.2-2] Aedes does not know of the session that our store kept.
    if (frame311[3] === 0) frame311[2] = sessionPresent ? 1 : 0;
    return frame311;
  },

  suback(packetId: number, codes: readonly number[]): Buffer {
    return subackFrame(
      packetId,
      codes.map((code) => Math.min(code, refusedCode)),
    );
  },

  unsuback(packetId: number): Buffer {
    return Buffer.from([0xb0, 2, packetId >> 8, packetId & 0xff]);
  },

  refuse: ({ returnCode }: Refusal) => connackFrame(returnCode),

  farewell: () => null,
};

function orReason<T extends object>(read: T | 'too-many' | null): T | CloseReason {
  return read === 'too-many' ? 'too-many-filters' : (read ?? 'malformed');
}
