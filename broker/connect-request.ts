/**
 * What a CONNECT asks for, in words that hold for every protocol version, and what this server
 * offers in turn.
 */
import { randomUUID } from 'node:crypto';
import type { Config } from '../base/config.ts';
import type { Identity } from '../base/identity.ts';
import type { Qos } from '../base/publication.ts';

/** What is published for a client whose connection ends without a proper DISCONNECT. */
export interface Will {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
  /** As in `Publication.properties`. */
  readonly properties: Buffer | null;
  /** Seconds between the end of the connection and the publication. */
  readonly delaySeconds: number;
}

export interface ConnectRequest {
  readonly version: 3 | 4 | 5;
  readonly clientId: string;
  readonly cleanStart: boolean;
  /** How long the session is kept after its connection; 0 ends it with the connection. */
  readonly sessionExpirySeconds: number;
  readonly keepAliveSeconds: number;
  /** Empty for none. */
  readonly username: string;
  /** Null for none. */
  readonly password: Buffer | null;
  readonly will: Will | null;
  /** What the client has proved by enhanced authentication; null where it was not asked to. */
  readonly identity: Identity | null;
}

/** What MQTT 5 clients are told of the server, and held to. */
export interface ServerTerms {
  readonly packetBytesMax: number;
  readonly receiveMaximum: number;
  readonly topicAliasMaximum: number;
  readonly sessionExpirySecondsMax: number;
  /** 0 for no bound, of both. */
  readonly keepAliveSecondsMin: number;
  readonly keepAliveSecondsMax: number;
  /** Empty for none. */
  readonly responseInformation: string;
  /** Names clients that leave it to the server. */
  readonly assignClientId: () => string;
}

export function serverTerms(
  { limits, mqtt5 }: Config,
  assignClientId: () => string = assignedClientId,
): ServerTerms {
  return {
    assignClientId,
    packetBytesMax: limits.packet_bytes,
    receiveMaximum: limits.receive_maximum,
    topicAliasMaximum: limits.topic_aliases,
    sessionExpirySecondsMax: limits.session_expiry_seconds,
    keepAliveSecondsMin: limits.keep_alive_seconds_min,
    keepAliveSecondsMax: limits.keep_alive_seconds_max,
    responseInformation: mqtt5.response_information,
  };
}

/** For a client that leaves its identifier to the server. */
export function assignedClientId(): string {
  return `auto-${randomUUID()}`;
}
