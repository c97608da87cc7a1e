/**
 * The edge's broker. Parts open in the order in which a publication meets them: listeners,
 * connection, admission, inbox, acceptance, routing, outbox; and close in reverse.
 */
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import type { Config } from '../base/config.ts';
import type { CounterFamily } from '../base/metrics.ts';
import type { TlsIdentity } from '../base/tls/tls-identity.ts';
import { AedesHost } from './aedes-host.ts';
import { type BrokerParts, joinParts } from './broker-parts.ts';
import { type ServerTerms, serverTerms } from './connect-request.ts';
import { Connection } from './connection/connection.ts';
import type { CloseReason, ConnectionHooks } from './connection/connection-port.ts';
import { type ConnectionBounds, connectionBounds, limitOf } from './connection-bounds.ts';
import { ConnectionSweep } from './connection-sweep.ts';
import type { DeviceBrokerParts } from './device-broker-parts.ts';
import { openDeviceTls } from './device-tls.ts';
import { hostHooks } from './host-hooks.ts';
import { Inbox } from './inbox.ts';
import { type InboxParts, inboxParts } from './inbox-parts.ts';
import { type Arrival, type Doors, innerListener, Listeners, type OpenDoors } from './listeners.ts';
import type { LocalDelivery } from './ports.ts';
import { recover } from './recovery.ts';
import { StateStore } from './store/state-store.ts';

const sweepMs = 1_000;

interface InnerArrival extends Omit<Arrival, 'listener'> {
  readonly listener: typeof innerListener;
}

export class DeviceBroker {
  readonly #parts: DeviceBrokerParts;
  readonly #config: Config;
  readonly #connections = new Set<Connection>();
  readonly #closed: CounterFamily;
  readonly #store: StateStore;
  readonly #joined: BrokerParts;
  readonly #startedAt: number;
  readonly #serverTerms: ServerTerms;
  readonly #inboxParts: InboxParts;
  readonly #bounds: ConnectionBounds;
  readonly #connectionSweep: ConnectionSweep;
  #host: AedesHost | null = null;
  #doors: Doors | null = null;
  #tls: TlsIdentity | null = null;
  #stops: (() => void)[] = [];
  #flushedThrough = 0;
  #isClosing = false;

  private constructor(parts: DeviceBrokerParts, config: Config, store: StateStore) {
    this.#parts = parts;
    this.#config = config;
    this.#store = store;
    this.#startedAt = parts.clock.now();
    this.#serverTerms = serverTerms(config, parts.assignClientId);
    this.#closed = parts.metrics.counters(
      'trunkline_connections_closed_total',
      'Connections of devices that ended, by reason.',
      'reason',
    );
    this.#joined = joinParts(parts, {
      config,
      store,
      assignClientId: this.#serverTerms.assignClientId,
      connectionCount: () => this.#connections.size,
    });
    const { limits } = config;
    this.#inboxParts = inboxParts(parts, this.#joined, limits);
    this.#bounds = connectionBounds(limits, parts.log, this.#joined.limitBook);
    const refreshKeepAlive = (one: Connection) => this.#host?.refreshKeepAlive(one);
    this.#connectionSweep = new ConnectionSweep(this.#joined, limits, refreshKeepAlive);
  }

  /** Recovers sessions, retained messages and queues. Throws `data-unwritable`. */
  static async open(parts: DeviceBrokerParts, config: Config): Promise<DeviceBroker> {
    const { log, clock } = parts;
    const store = await StateStore.open({ log, clock }, join(config.data, 'edge', 'state.db'));
    const broker = new DeviceBroker(parts, config, store);
    try {
      await broker.#open();
      return broker;
    } catch (error) {
      await broker.close();
      throw error;
    }
  }

  /** Lets devices in. Throws what opening the doors throws. */
  async listen(openDoors: OpenDoors = Listeners.open): Promise<void> {
    this.#tls = await openDeviceTls(this.#parts, this.#config);
    this.#doors = await openDoors(this.#parts.log, {
      config: this.#config,
      tls: this.#tls,
      onArrival: (arrival) => this.#arrive(arrival),
      onAcceptFailed: (listener) => this.#joined.limitBook.met('connections', { listener }),
    });
  }

  get ports(): Doors['ports'] {
    return this.#doors?.ports ?? new Map();
  }

  readonly #connectionHooks: ConnectionHooks = {
    pass: (one, frame) => this.#host?.take(one, frame),
    refreshKeepAlive: (one) => this.#host?.refreshKeepAlive(one),
    isSubscribed: (one, filter) => this.#joined.admission.isSubscribed(one, filter),
    whenRetained: (one, then) =>
      this.#joined.acceptance.whenRetained(this.#joined.admission.of(one)?.session, then),
    keepSession: (one, seconds) => this.#joined.admission.keepSession(one, seconds),
    closed: (one, reason) => this.#detach(one, reason),
    gone: (one) => this.#host?.gone(one),
  };

  /** For sessions within the process. */
  readonly innerDoor = {
    connect: (): Duplex => {
      const [near, far] = duplexPair();
      const facts = { listener: innerListener, remoteAddress: '', certificate: null } as const;
      this.#arrive({ socket: far, ...facts });
      return near;
    },
    filtersOf: (clientId: string): readonly string[] => [
      ...(this.#joined.sessions.get(clientId)?.subscriptions.keys() ?? []),
    ],
    queuedOf: (clientId: string): number => {
      const outbox = this.#joined.sessions.get(clientId)?.outbox;
      return outbox === undefined ? 0 : outbox.queuedCount + outbox.inflightCount;
    },
    forgetReceived: async (clientId: string): Promise<void> => {
      const session = this.#joined.sessions.get(clientId);
      for (const packetId of [...(session?.received.keys() ?? [])]) session?.release(packetId);
      await this.#store.commit();
    },
  };

  readonly localDelivery: LocalDelivery = {
    deliver: (from, items) => this.#joined.downlink.deliver(from, items),
    wantedFilters: () => this.#joined.router.wantedFilters(),
    beginRetainedSync: (isKnownLog) => {
      const finish = this.#joined.router.beginRetainedSync(isKnownLog);
      return (confirmed) => {
        finish(confirmed).catch((error: unknown) => {
          this.#parts.log.error({ err: error }, 'retained messages cannot be compared');
        });
      };
    },
    sessions: () => [...this.#joined.sessions].map((session) => session.fact()),
    stats: () => ({
      receivedMessages: this.#parts.ledger.acceptedCount,
      deliveredMessages: this.#parts.ledger.deliveredCount,
      droppedMessages: this.#parts.ledger.droppedCount,
      connectedSessions: this.#joined.sessions.connectedCount,
      startedAtMs: this.#startedAt,
    }),
  };

  /** Ends every connection, then writes what is left. */
  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    for (const stop of this.#stops) stop();
    this.#joined.authentication.close();
    this.#joined.gate.close();
    // Listeners close when their last connection has: both at once.
    const doorsClosed = this.#doors?.close();
    for (const connection of [...this.#connections]) connection.end('shutting-down');
    // Closes reach Aedes in the next turn.
    await new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));
    await this.#host?.close();
    await doorsClosed;
    await this.#tls?.close();
    await this.#joined.wills.close();
    await this.#joined.parking.close();
    await this.#store.close();
  }

  async #open(): Promise<void> {
    const { clock, log, messageLog } = this.#parts;
    await this.#joined.authentication.open();
    const recovered = await recover({
      store: this.#store,
      messageLog,
      sessions: this.#joined.sessions,
      parking: this.#joined.parking,
      router: this.#joined.router,
      retained: this.#joined.retained,
      replays: this.#joined.replays,
    });
    const wills = await this.#joined.wills.restore(
      (clientId) => this.#joined.sessions.get(clientId)?.expirySeconds ?? 0,
    );
    log.info({ ...recovered, wills, retained: this.#joined.retained.count }, 'broker recovered');
    // The log keeps what sessions owe, and what the state store has not written yet.
    messageLog.addHolder(() =>
      Math.min(this.#joined.sessions.lowestOwed(), this.#flushedThrough + 1),
    );
    messageLog.onRelief(() => {
      for (const connection of [...this.#connections]) connection.release();
    });
    this.#host = await AedesHost.open(
      hostHooks({
        admission: this.#joined.admission,
        subscriptions: this.#joined.subscriptions,
        attach: (connection) => this.#attach(connection),
      }),
    );
    const { feed, revocation } = this.#joined;
    this.#stops = [clock.every(sweepMs, () => this.#sweep()), feed.start(), revocation.start()];
  }

  #arrive({ socket, listener, remoteAddress, certificate }: Arrival | InnerArrival): void {
    const { limits } = this.#config;
    if (this.#isClosing || this.#connections.size >= this.#bounds.connectionsMax) {
      if (!this.#isClosing) this.#joined.limitBook.met('connections');
      this.#closed.by('overloaded').add();
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    const connection = new Connection(socket, this.#connectionHooks, {
      listener,
      remoteAddress,
      certificate,
      server: this.#serverTerms,
      enhanced: this.#joined.authentication.enhanced,
      renewed: (one, identity) => this.#joined.admission.renew(one, identity),
      ...this.#bounds.ofEach,
      admitInTurn: (one, letIn) => this.#joined.gate.enter(one, letIn),
      rates: listener === innerListener ? null : this.#bounds.rates,
      // Deliveries stop at `output_bytes`; twice that is reached by answers alone.
      backlogBytesMax: limits.output_bytes * 2,
    });
    this.#connections.add(connection);
    this.#host?.handle(connection);
    this.#joined.gate.arrived(connection);
  }

  #attach(connection: Connection): void {
    const admitted = this.#joined.admission.attach(connection);
    if (admitted === undefined) return;
    const { session, principal } = admitted;
    const inbox = new Inbox(this.#inboxParts, { session, connection, principal });
    this.#joined.revocation.attached(session, principal);
    session.attach(connection);
    this.#joined.replays.resume(session);
    this.#joined.feed.changed(session);
    this.#joined.feed.happened(session, 'connected', '');
    this.#parts.log.debug({ client_id: session.clientId, ...session.facts }, 'session connected');
    // Last: what the client sent behind CONNECT is dealt with at once, and may be DISCONNECT.
    connection.open(inbox);
  }

  #detach(connection: Connection, reason: CloseReason): void {
    this.#connections.delete(connection);
    this.#joined.gate.left(connection);
    const limit = limitOf(reason);
    if (limit !== undefined) this.#joined.limitBook.met(limit);
    this.#closed.by(reason).add();
    const session = this.#joined.admission.detach(connection, reason);
    if (session === undefined) return;
    const kind = reason === 'taken-over' ? 'taken-over' : 'disconnected';
    this.#joined.feed.happened(session, kind, reason);
    // The listener has heard of its end, if it has ended.
    if (this.#joined.sessions.get(session.clientId) === session) this.#joined.feed.changed(session);
    this.#parts.log.debug({ client_id: session.clientId, reason }, 'session disconnected');
  }

  /** Looks at connections, and moves on what the log may free. */
  #sweep(): void {
    this.#connectionSweep.look(this.#connections, this.#parts.clock.now());
    this.#joined.parking.round(this.#joined.sessions.journals());
    this.#joined.sessions.retry();
    this.#joined.sessions.expire();
    this.#joined.retained.sweep();
    for (const session of this.#joined.sessions) session.noteReceived();
    const through = this.#parts.messageLog.durableThrough;
    this.#store
      .commit()
      .then(() => {
        this.#flushedThrough = through;
      })
      .catch((error: unknown) => this.#parts.log.error({ err: error }, 'state store failed'));
  }
}
