/**
 * The one file that imports Aedes; `aedes-client.ts` is what it knows a device as. It holds the device
 * sessions as a protocol state: CONNECT and its refusals, keep alive, SUBSCRIBE, UNSUBSCRIBE, PINGREQ.
 * Messages never pass through it: PUBLISH and its acknowledgements are taken out before Aedes sees the
 * bytes, and wills out of CONNECT. MQTT 5 is translated before and behind it.
 *
 * What of its insides is leaned on, for the pinned version 1.2.0 and asserted when it opens:
 * - packets are written to `client.conn` by `cork`, `write` and `uncork`; it need not be a stream.
 * - the order of CONNECT: preConnect, authenticate, persistence calls, 'client', CONNACK.
 * - `client._keepaliveTimer`, refreshed here for packets that Aedes does not see.
 * - `preConnect` may change the packet: a will that it takes out is not there.
 */
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import { Aedes, type AedesOptions, type AuthenticateError, type Client } from 'aedes';
import type { Qos } from '../base/publication.ts';
import { HostedClient, PacketIntake } from './aedes-client.ts';
import type { Connection } from './connection/connection.ts';
import { connackFrame } from './connection/frames.ts';

const pinnedVersion = '1.2.0';

const connackAccepted = 0;

/** Aedes looks for dead peers' wills at four times this; ours are found at start instead. */
const idleIntervalMs = 24 * 3600 * 1000;

/** CONNECT, as Aedes's parser gives it. */
export interface ConnectPacket {
  clientId: string;
  readonly clean: boolean;
  /** Seconds; may be raised before Aedes goes on. */
  keepalive: number;
  readonly protocolVersion: number;
  readonly username?: string;
  readonly password?: Buffer;
  /** Taken out before Aedes goes on: wills are the broker's own. */
  will?: {
    readonly topic: string;
    readonly payload: Buffer;
    readonly qos: Qos;
    readonly retain: boolean;
  };
}

/** What Aedes asks of the broker, in the order of a connection's life. */
export interface HostHooks {
  /** Before anything: false when it was answered and refused. May fill in the client identifier. */
  connecting(connection: Connection, packet: ConnectPacket): boolean;
  /** 0 lets it in; else a CONNACK return code. */
  admit(connection: Connection): Promise<number>;
  /** CONNACK success is written. */
  ready(connection: Connection): void;
  /** Whether the filter is granted as it was asked for; durable for a kept session. */
  grant(connection: Connection, filter: string): Promise<boolean>;
  /** SUBACK is written. */
  granted(connection: Connection, filters: readonly string[]): void;
  /** Of a kept session, durable before UNSUBACK. */
  revoke(connection: Connection, filters: readonly string[]): Promise<void>;
  /** Of a clean session, in the turn in which UNSUBACK is written. */
  revoked(connection: Connection, filters: readonly string[]): void;
}

interface AedesClient extends Client {
  readonly conn: Client['conn'] & Connection;
}

export class AedesHost {
  readonly #aedes: Aedes;
  readonly #intake: PacketIntake;
  readonly #letIn: (client: HostedClient) => void;

  private constructor(aedes: Aedes, hooks: HostHooks) {
    this.#aedes = aedes;
    this.#intake = new PacketIntake(aedes);
    this.#letIn = (client) => letIn(aedes, client, hooks);
  }

  static async open(hooks: HostHooks): Promise<AedesHost> {
    forgoNumberCache();
    const aedes = await Aedes.createBroker({
      ...optionsFor(hooks),
      mq: messageQueue,
      persistence: persistenceFor(hooks),
      heartbeatInterval: idleIntervalMs,
      drainTimeout: 0,
      maxClientsIdLength: 65_535,
    });
    assertPinned(aedes);
    aedes.on('client', (client) => {
      const hosted = client as unknown as HostedClient;
      // Closed while its will was being written down, and registered after that all the same.
      if (hosted.closed) forget(aedes, hosted);
      else hosted.letIn();
    });
    aedes.on('subscribe', (subscriptions, client) => {
      const filters = subscriptions.filter((one) => one.qos <= 2).map((one) => one.topic);
      if (client !== null) hooks.granted((client as AedesClient).conn, filters);
    });
    aedes.on('unsubscribe', (filters, client) => {
      // Of a kept session they were revoked, durably, before UNSUBACK.
      if (client?.clean === true) hooks.revoked((client as AedesClient).conn, filters);
    });
    return new AedesHost(aedes, hooks);
  }

  /** A new connection, before its first byte. */
  handle(connection: Connection): void {
    connection.client = new HostedClient(this.#aedes, connection, this.#letIn);
  }

  /** A whole packet of the client's, in MQTT 3.1.1. */
  take(connection: Connection, frame: Buffer): void {
    const { client } = connection;
    if (client instanceof HostedClient) this.#intake.take(client, frame);
  }

  /** The connection has ended, and nothing of Aedes is in the stack. */
  gone(connection: Connection): void {
    const { client } = connection;
    if (client instanceof HostedClient) client.close();
  }

  /** The client sent something that Aedes did not see. */
  refreshKeepAlive(connection: Connection): void {
    const { client } = connection;
    if (client instanceof HostedClient) client._keepaliveTimer?.refresh();
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#aedes.close(() => resolve()));
  }
}

/** Its writer keeps a buffer for each of 65,536 numbers, for the sake of messages that it never has. */
function forgoNumberCache(): void {
  const writer = createRequire(import.meta.resolve('aedes'))('mqtt-packet').writeToStream;
  writer.cacheNumbers = false;
}

function optionsFor(hooks: HostHooks): AedesOptions {
  return {
    preConnect(client, packet, done) {
      const connect = packet as unknown as ConnectPacket;
      const isLetIn = hooks.connecting((client as AedesClient).conn, connect);
      delete connect.will;
      done(null, isLetIn);
    },
    authenticate(client, _username, _password, done) {
      hooks.admit((client as AedesClient).conn).then(
        (returnCode) => (returnCode === 0 ? done(null, true) : done(refusal(returnCode), null)),
        () => done(refusal(3), null),
      );
    },
    authorizeSubscribe(client, subscription, done) {
      hooks.grant((client as AedesClient).conn, subscription.topic).then(
        (isGranted) => done(null, isGranted ? subscription : null),
        (error: Error) => done(error),
      );
    },
    // Nothing is published through Aedes.
    authorizePublish: (_client, _packet, done) => done(),
  };
}

/** An emitter that delivers nothing and never recurses: sessions are served by our own routing. */
const messageQueue = {
  on: (_topic: string, _listener: unknown, done?: () => void) => done?.(),
  removeListener: (_topic: string, _listener: unknown, done?: () => void) => done?.(),
  close: (done: () => void) => done(),
  // Only what Aedes says of itself under `$SYS` comes here.
  emit: (_packet: unknown, done: (error?: Error) => void) => done(),
};

/** Aedes keeps nothing itself: sessions, queues and retained messages are the broker's. */
function persistenceFor(hooks: HostHooks) {
  const nothing = async () => {};
  const none = async () => [];
  const noStream = () => Readable.from([]);
  return {
    setup: nothing,
    cleanSubscriptions: nothing,
    subscriptionsByClient: none,
    subscriptionsByTopic: none,
    addSubscriptions: nothing,
    removeSubscriptions: (client: AedesClient, filters: readonly string[]) =>
      hooks.revoke(client.conn, filters),
    storeRetained: nothing,
    // Asked for once for each SUBSCRIBE, and piped to whoever sends what is in it.
    createRetainedStreamCombi: () => ({ pipe: () => {} }),
    outgoingEnqueueCombi: nothing,
    putWill: nothing,
    delWill: nothing,
    streamWill: noStream,
  };
}

function refusal(returnCode: number): AuthenticateError {
  return Object.assign(new Error('connection refused'), { returnCode });
}

/** CONNACK, unless the connection has ended meanwhile. */
function letIn(aedes: Aedes, client: HostedClient, hooks: HostHooks): void {
  const { conn } = client;
  if (conn.destroyed) {
    forget(aedes, client);
    return;
  }
  client.connected = true;
  client.connackSent = true;
  conn.write(connackFrame(connackAccepted));
  conn.uncork();
  hooks.ready(conn);
}

/** Takes a client that is gone out of the registry. */
function forget(aedes: Aedes, client: HostedClient): void {
  const registry = aedes as unknown as {
    clients: Record<string, HostedClient>;
    unregisterClient(client: HostedClient): void;
  };
  if (registry.clients[client.id ?? ''] === client) registry.unregisterClient(client);
}

function assertPinned(aedes: Aedes): void {
  const { version } = aedes as unknown as { version: string };
  if (version !== pinnedVersion) {
    throw new Error(`aedes is ${version}; the host was written against ${pinnedVersion}`);
  }
}
