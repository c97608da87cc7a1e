/**
 * How one protocol version says what a connection has to say: reads the control packets that differ
 * between versions, and writes their answers. One for each connection.
 */
import type { FrameForm } from '../../proto/run.ts';
import type { ReasonCode } from '../mqtt5/reason-codes.ts';
import type { CloseReason } from './connection-port.ts';
import type { FrameScanner } from './frame-scanner.ts';
import type { SubscribeRequest, UnsubscribeRequest } from './request.ts';

export interface DisconnectRequest {
  /** The will is published all the same. */
  readonly withWill: boolean;
  /** Seconds that the session is kept from now on; null leaves it as it is. */
  readonly sessionExpirySeconds: number | null;
}

/** Why a CONNECT is refused. */
export interface Refusal {
  /** Of MQTT 3.1.1. */
  readonly returnCode: number;
  /** Of MQTT 5. */
  readonly reasonCode: ReasonCode;
  readonly reasonString: string;
}

export interface Dialect {
  readonly form: FrameForm;
  /** These three answer why the connection must end when the packet is not sound. */
  subscribe(frame: FrameScanner, filtersMax: number): SubscribeRequest | CloseReason;
  unsubscribe(frame: FrameScanner, filtersMax: number): UnsubscribeRequest | CloseReason;
  disconnect(frame: FrameScanner): DisconnectRequest | CloseReason;
  /** From what Aedes wrote. Null where the client can't take so large a packet. */
  connack(frame311: Buffer, sessionPresent: boolean): Buffer | null;
  suback(packetId: number, codes: readonly number[]): Buffer | null;
  unsuback(packetId: number, codes: readonly number[]): Buffer | null;
  /** CONNACK that refuses. */
  refuse(refusal: Refusal): Buffer | null;
  /** The last packet on a connection that ends for this reason; null when nothing is said. */
  farewell(reason: CloseReason): Buffer | null;
}
