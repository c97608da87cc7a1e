/**
 * How the two sessions of a foreign bridge begin: the one at the other broker first, because what it
 * can take bounds what the one here is sent.
 * Source: MQTT 3.1.1 and MQTT 5, sections 3.1 and 3.2.
 */
import type { IConnackPacket } from 'mqtt-packet';
import type { Peer, Subscription } from './peer.ts';
import type { ForeignSettings } from './settings.ts';

/** What the other broker takes. */
export interface RemoteTerms {
  /** It has kept the session. */
  readonly isSessionPresent: boolean;
  readonly receiveMaximum: number;
  /** Bytes of the largest packet; 0 for any. */
  readonly packetBytesMax: number;
  readonly maximumQos: 0 | 1 | 2;
  readonly takesRetain: boolean;
}

export interface LocalTerms {
  readonly clientId: string;
  /** Null when the other broker is not connected. */
  readonly remote: RemoteTerms | null;
  readonly wanted: readonly Subscription[];
  /** Filters that the session still has and that nobody wants any more. */
  readonly stale: readonly string[];
}

/** Messages under way to the other broker: enough for a long line, and not all at once after an
 * outage. */
const inflightMax = 1_000;

/** Bytes that a longer topic and one more property add to a packet on its way there. */
const packetSlackBytes = 1_024;

const never = 0xffffffff;
const subscribeId = 1;

const refusals = [
  '',
  'it does not speak this version of MQTT; set version, or bridge_bit = false',
  'it does not take the client identifier; set client_id',
  'it is not available',
  'it does not take the user name or password',
  'the client is not authorized',
];

/** Throws when it refuses. */
export async function connectRemote(
  peer: Peer,
  { edgeId, settings }: { readonly edgeId: string; readonly settings: ForeignSettings },
): Promise<RemoteTerms> {
  const { version, username, password } = settings;
  const connack = await peer.connect({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: version,
    ...(version === 4 && settings.bridge_bit ? { bridgeMode: true } : {}),
    clientId: settings.client_id || `trunkline-${edgeId}-${settings.name}`,
    clean: false,
    keepalive: settings.keep_alive_seconds,
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password: Buffer.from(password) }),
    ...(version === 5 ? { properties: { sessionExpiryInterval: never, receiveMaximum: 500 } } : {}),
  });
  const code = connack.reasonCode ?? connack.returnCode ?? 0;
  if (code !== 0)
    throw new Error(`the foreign broker refused CONNECT: ${refusalOf(connack, code)}`);
  const { properties } = connack;
  return {
    isSessionPresent: connack.sessionPresent,
    receiveMaximum: properties?.receiveMaximum ?? inflightMax,
    packetBytesMax: properties?.maximumPacketSize ?? 0,
    maximumQos: (properties?.maximumQoS ?? 2) as 0 | 1 | 2,
    takesRetain: Number(properties?.retainAvailable ?? 1) !== 0,
  };
}

/** Throws when this edge refuses. */
export async function connectLocal(peer: Peer, terms: LocalTerms): Promise<void> {
  const { remote } = terms;
  const packetBytesMax = remote?.packetBytesMax ?? 0;
  const maximumPacketSize = Math.max(packetSlackBytes, packetBytesMax - packetSlackBytes);
  const connack = await peer.connect({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: 5,
    clientId: terms.clientId,
    clean: false,
    keepalive: 0,
    properties: {
      sessionExpiryInterval: never,
      receiveMaximum: Math.min(remote?.receiveMaximum ?? 1, inflightMax),
      ...(packetBytesMax > 0 ? { maximumPacketSize } : {}),
    },
  });
  const { reasonCode = 0 } = connack;
  if (reasonCode !== 0) {
    throw new Error(`this edge refused CONNECT with reason code 0x${reasonCode.toString(16)}`);
  }
  if (terms.wanted.length > 0) await peer.subscribe(subscribeId, terms.wanted);
  if (terms.stale.length > 0) await peer.unsubscribe(subscribeId, terms.stale);
}

function refusalOf(connack: IConnackPacket, code: number): string {
  const said = connack.properties?.reasonString;
  if (said !== undefined) return said;
  return refusals[code] ?? `reason code 0x${code.toString(16)}`;
}
