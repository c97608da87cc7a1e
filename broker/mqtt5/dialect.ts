/**
 * MQTT 5 on one connection: what CONNECT settled, the packets that Aedes does not know, and the
 * answers that it would give in MQTT 3.1.1. No packet leaves that is larger than the client takes.
 * Source: MQTT 5 sections 3.1, 3.2 and 3.8 to 3.15.
 */

import type { Identity } from '../../base/identity.ts';
import { variableBytes, writeVariable } from '../../proto/variable-byte-integer.ts';
import type { ConnectRequest, ServerTerms } from '../connect-request.ts';
import type { CloseReason, ConnectionTerms } from '../connection/connection-port.ts';
import type { Dialect, DisconnectRequest, Refusal } from '../connection/dialect.ts';
import type { FrameScanner } from '../connection/frame-scanner.ts';
import type { SubscribeRequest, UnsubscribeRequest } from '../connection/request.ts';
import { type Connect5, connect311 } from './connect.ts';
import { closeReasonOf, farewellOf, readDisconnect } from './disconnect.ts';
import { type Properties, writeProperties } from './properties.ts';
import { type ReasonCode, reasonCodes } from './reason-codes.ts';
import { acknowledgement5, readSubscribe, readUnsubscribe } from './subscribe.ts';

const heads = {
  connack: 0x20,
  suback: 0x90,
  unsuback: 0xb0,
  disconnect: 0xe0,
  auth: 0xf0,
} as const;

/** What holds where nothing is said, too: left out for a client that takes only small packets. */
const offers: Properties = {
  retainAvailable: 1,
  wildcardSubscriptionAvailable: 1,
  subscriptionIdentifiersAvailable: 1,
  sharedSubscriptionAvailable: 1,
};

/** What a refusal by Aedes is in MQTT 5. */
const refusals311 = new Map<number, ReasonCode>([
  [1, reasonCodes.unsupportedProtocolVersion],
  [2, reasonCodes.clientIdentifierNotValid],
  [3, reasonCodes.serverUnavailable],
  [4, reasonCodes.badUserNameOrPassword],
  [5, reasonCodes.notAuthorized],
]);

export class Dialect5 implements Dialect {
  readonly form = 5;
  readonly terms: ConnectionTerms;
  #request: ConnectRequest;
  #connect: Connect5;
  readonly #server: ServerTerms;
  /** Of the last step of enhanced authentication, for CONNACK. */
  #authenticationData: Buffer | null = null;

  constructor(connect: Connect5, server: ServerTerms) {
    const { properties, keepAliveSeconds } = connect;
    this.#connect = connect;
    this.#server = server;
    this.terms = {
      receiveMaximum: properties.receiveMaximum ?? 65_535,
      packetBytesMax: properties.maximumPacketSize ?? 0,
      topicAliasMaximum: properties.topicAliasMaximum ?? 0,
      requestProblemInformation: properties.requestProblemInformation !== 0,
    };
    this.#request = {
      version: 5,
      clientId: connect.clientId === '' ? server.assignClientId() : connect.clientId,
      cleanStart: connect.cleanStart,
      sessionExpirySeconds: this.#bounded(properties.sessionExpiryInterval ?? 0),
      keepAliveSeconds: boundedKeepAlive(keepAliveSeconds, server),
      username: connect.username ?? '',
      password: connect.password,
      will: connect.will,
      identity: null,
    };
  }

  get authenticationMethod(): string | null {
    return this.#connect.properties.authenticationMethod ?? null;
  }

  get authenticationData(): Buffer | null {
    return this.#connect.properties.authenticationData ?? null;
  }

  get request(): ConnectRequest {
    return this.#request;
  }

  /** The client has proved who it is by enhanced authentication. */
  authenticated(data: Buffer | null, identity: Identity): void {
    this.#authenticationData = data;
    this.#request = { ...this.#request, identity };
  }

  /** The same CONNECT for Aedes. */
  connect311(): Buffer {
    const { clientId, sessionExpirySeconds, keepAliveSeconds } = this.request;
    return connect311({ clientId, isKept: sessionExpirySeconds > 0, keepAliveSeconds });
  }

  connack(frame311: Buffer, sessionPresent: boolean): Buffer | null {
    const returnCode = frame311[3] as number;
    if (returnCode !== 0) {
      return this.refusal(refusals311.get(returnCode) ?? reasonCodes.unspecifiedError, '');
    }
    const flags = sessionPresent ? 1 : 0;
    const said = this.#connackProperties();
    this.#forgetSecrets();
    const fields = [flags, reasonCodes.success];
    const whole = frame(heads.connack, fields, writeProperties({ ...said, ...offers }));
    return this.#fit(whole) ?? this.#fit(frame(heads.connack, fields, writeProperties(said)));
  }

  /** CONNACK that refuses. */
  refusal(reasonCode: ReasonCode, reasonString: string): Buffer | null {
    return this.#explained(heads.connack, [0, reasonCode], reasonString);
  }

  refuse({ reasonCode, reasonString }: Refusal): Buffer | null {
    return this.refusal(reasonCode, reasonString);
  }

  subscribe(scanner: FrameScanner, filtersMax: number): SubscribeRequest | CloseReason {
    return orReason(readSubscribe(scanner, filtersMax));
  }

  unsubscribe(scanner: FrameScanner, filtersMax: number): UnsubscribeRequest | CloseReason {
    return orReason(readUnsubscribe(scanner, filtersMax));
  }

  disconnect(scanner: FrameScanner): DisconnectRequest | CloseReason {
    const said = readDisconnect(scanner);
    if (typeof said === 'number') return closeReasonOf(said);
    const { sessionExpiry } = said;
    const wasKept = (this.#connect.properties.sessionExpiryInterval ?? 0) > 0;
    // [MQTT-3.14.2-2] and section 3.14.2.2.2: what was not to be kept can't be any more.
    if (!wasKept && sessionExpiry !== null && sessionExpiry > 0) return 'protocol-error';
    return {
      withWill: said.reasonCode !== reasonCodes.normalDisconnection, // [MQTT-3.1.2-10]
      sessionExpirySeconds: sessionExpiry === null ? null : this.#bounded(sessionExpiry),
    };
  }

  suback(packetId: number, codes: readonly number[]): Buffer | null {
    return this.#fit(acknowledgement5(heads.suback, packetId, codes));
  }

  unsuback(packetId: number, codes: readonly number[]): Buffer | null {
    return this.#fit(acknowledgement5(heads.unsuback, packetId, codes));
  }

  auth(reasonCode: ReasonCode, data: Buffer | null): Buffer | null {
    const { authenticationMethod } = this.#connect.properties;
    const properties: Properties = {};
    if (authenticationMethod !== undefined) properties.authenticationMethod = authenticationMethod;
    if (data !== null) properties.authenticationData = data;
    return this.#fit(frame(heads.auth, [reasonCode], writeProperties(properties)));
  }

  farewell(reason: CloseReason): Buffer | null {
    const said = farewellOf(reason);
    if (said === undefined) return null;
    return this.#explained(heads.disconnect, [said[0]], said[1]);
  }

  #connackProperties(): Properties {
    const { properties, clientId, keepAliveSeconds } = this.#connect;
    const server = this.#server;
    const found: Properties = {
      receiveMaximum: server.receiveMaximum,
      maximumPacketSize: server.packetBytesMax,
      topicAliasMaximum: server.topicAliasMaximum,
    };
    const { request } = this;
    if (request.sessionExpirySeconds !== (properties.sessionExpiryInterval ?? 0)) {
      found.sessionExpiryInterval = request.sessionExpirySeconds;
    }
    if (clientId === '') found.assignedClientIdentifier = request.clientId; // [MQTT-3.2.2-16]
    // [MQTT-3.2.2-21]
    if (request.keepAliveSeconds !== keepAliveSeconds) {
      found.serverKeepAlive = request.keepAliveSeconds;
    }
    if (properties.requestResponseInformation === 1 && server.responseInformation !== '') {
      // One level without wildcards, whatever the identifier.
      const own = encodeURIComponent(request.clientId);
      found.responseInformation = `${server.responseInformation}/${own}`;
    }
    const { authenticationMethod } = properties;
    if (authenticationMethod !== undefined) {
      found.authenticationMethod = authenticationMethod; // [MQTT-4.12.0-5]
      if (this.#authenticationData !== null) found.authenticationData = this.#authenticationData;
    }
    return found;
  }

  /** A connection lives long: what only its beginning needed does not stay with it. */
  #forgetSecrets(): void {
    const { sessionExpiryInterval, authenticationMethod } = this.#connect.properties;
    const properties: Properties = {};
    if (sessionExpiryInterval !== undefined)
      properties.sessionExpiryInterval = sessionExpiryInterval;
    if (authenticationMethod !== undefined) properties.authenticationMethod = authenticationMethod;
    this.#connect = { ...this.#connect, properties, username: null, password: null, will: null };
    this.#request = { ...this.#request, password: null, will: null };
    this.#authenticationData = null;
  }

  /** With its reason string where the client wants it and can take it [MQTT-3.14.2-3]. */
  #explained(first: number, fields: readonly number[], reasonString: string): Buffer | null {
    const bare = frame(first, fields, writeProperties({}));
    if (!this.terms.requestProblemInformation || reasonString === '') return this.#fit(bare);
    const explained = frame(first, fields, writeProperties({ reasonString }));
    return this.#fit(explained) ?? this.#fit(bare);
  }

  /** [MQTT-3.1.2-24] */
  #fit(bytes: Buffer): Buffer | null {
    const { packetBytesMax } = this.terms;
    return packetBytesMax === 0 || bytes.length <= packetBytesMax ? bytes : null;
  }

  #bounded(sessionExpiry: number): number {
    return Math.min(sessionExpiry, this.#server.sessionExpirySecondsMax);
  }
}

/** CONNACK that refuses a CONNECT whose terms are not known. */
export function bareRefusal(reasonCode: ReasonCode): Buffer {
  return frame(heads.connack, [0, reasonCode], writeProperties({}));
}

function orReason<T extends object>(read: T | ReasonCode): T | CloseReason {
  // A quota of one packet is that of its filters.
  if (read === reasonCodes.quotaExceeded) return 'too-many-filters';
  return typeof read === 'number' ? closeReasonOf(read) : read;
}

function boundedKeepAlive(asked: number, server: ServerTerms): number {
  const { keepAliveSecondsMin: min, keepAliveSecondsMax: max } = server;
  if (max > 0 && (asked === 0 || asked > max)) return max;
  return asked > 0 && asked < min ? min : asked;
}

function frame(first: number, fields: readonly number[], properties: Buffer): Buffer {
  const remaining = fields.length + properties.length;
  const bytes = Buffer.allocUnsafe(1 + variableBytes(remaining) + remaining);
  bytes[0] = first;
  const at = writeVariable(bytes, 1, remaining);
  bytes.set(fields, at);
  properties.copy(bytes, at + fields.length);
  return bytes;
}
