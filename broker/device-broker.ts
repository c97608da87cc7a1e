/**
 * The edge's broker. Parts open in the order in which a publication meets them: listeners,
 * connection, admission, inbox, acceptance, routing, outbox; and close in reverse.
 */
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { Config } from '../base/config.ts';
import type { Ledger } from '../base/ledger.ts';
import type { Logger } from '../base/log.ts';
import type { CounterFamily, Metrics } from '../base/metrics.ts';
import { Acceptance } from './acceptance.ts';
import { Admission } from './admission.ts';
import { AedesHost } from './aedes-host.ts';
import { createAuthenticate } from './authenticate.ts';
import { authorize } from './authorize.ts';
import { registerGauges } from './broker-gauges.ts';
import { Connection } from './connection/connection.ts';
import type { CloseReason } from './connection/connection-port.ts';
import { Downlink } from './downlink.ts';
import { hostHooks } from './host-hooks.ts';
import { Inbox } from './inbox.ts';
import { type Arrival, type ListenerName, Listeners } from './listeners.ts';
import { Parking } from './parking.ts';
import type { LocalDelivery, MessageLog, SessionListener, Uplink } from './ports.ts';
import { recover } from './recovery.ts';
import { Retained } from './routing/retained.ts';
import { Router } from './routing/router.ts';
import { SessionFeed } from './session-events.ts';
import { Sessions } from './sessions.ts';
import { StateStore } from './store/state-store.ts';
import { Subscriptions } from './subscriptions.ts';
import { Takeover } from './takeover.ts';
import { Wills } from './wills.ts';

const sweepMs = 1_000;
const expireMs = 60_000;

export interface DeviceBrokerParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly messageLog: MessageLog;
  readonly uplink: Uplink;
  readonly sessionListener: SessionListener;
}

export class DeviceBroker {
  readonly #parts: DeviceBrokerParts;
  readonly #config: Config;
  readonly #connections = new Set<Connection>();
  readonly #closed: CounterFamily;
  readonly #store: StateStore;
  readonly #parking: Parking;
  readonly #sessions: Sessions;
  readonly #router: Router;
  readonly #retained: Retained;
  readonly #acceptance: Acceptance;
  readonly #admission: Admission;
  readonly #subscriptions: Subscriptions;
  readonly #downlink: Downlink;
  readonly #wills: Wills;
  readonly #feed: SessionFeed;
  readonly #startedAt: number;
  #host: AedesHost | null = null;
  #listeners: Listeners | null = null;
  #stops: (() => void)[] = [];
  #flushedThrough = 0;
  #isClosing = false;

  private constructor(parts: DeviceBrokerParts, config: Config, store: StateStore) {
    const { log, clock, ledger, messageLog, uplink, metrics, sessionListener } = parts;
    this.#parts = parts;
    this.#config = config;
    this.#store = store;
    this.#startedAt = clock.now();
    this.#closed = metrics.counters(
      'trunkline_connections_closed_total',
      'Connections of devices that ended, by reason.',
      'reason',
    );
    this.#retained = new Retained(store, messageLog);
    this.#router = new Router({ ledger, uplink, retained: this.#retained });
    this.#parking = new Parking({ log, store, messageLog });
    this.#sessions = new Sessions(
      {
        ...{ log, clock, ledger, store, messageLog, router: this.#router },
        ...{ parking: this.#parking, listener: sessionListener },
      },
      config.limits,
    );
    const common = {
      router: this.#router,
      retained: this.#retained,
      ledger,
      messageLog,
      clock,
      store,
    };
    this.#acceptance = new Acceptance(common);
    this.#feed = new SessionFeed(clock, this.#sessions, sessionListener);
    this.#admission = new Admission({
      log,
      clock,
      metrics,
      authorize,
      authenticate: createAuthenticate(config.auth),
      takeover: new Takeover(),
      sessions: this.#sessions,
      store,
    });
    this.#subscriptions = new Subscriptions({
      ...common,
      log,
      authorize,
      limits: config.limits,
      admission: this.#admission,
      onChanged: (session) => this.#feed.changed(session),
    });
    this.#wills = new Wills({ ...common, acceptance: this.#acceptance, uplink });
    this.#downlink = new Downlink({ ...common, acceptance: this.#acceptance });
    registerGauges(metrics, {
      sessions: this.#sessions,
      router: this.#router,
      retained: this.#retained,
      parking: this.#parking,
      connectionCount: () => this.#connections.size,
    });
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

  /** Lets devices in. Throws what `Listeners.open` throws. */
  async listen(): Promise<void> {
    this.#listeners = await Listeners.open(this.#parts.log, {
      config: this.#config,
      onArrival: (arrival) => this.#arrive(arrival),
    });
  }

  get ports(): ReadonlyMap<ListenerName, number> {
    return this.#listeners?.ports ?? new Map();
  }

  readonly localDelivery: LocalDelivery = {
    deliver: (from, items) => this.#downlink.deliver(from, items),
    wantedFilters: () => this.#router.wantedFilters(),
    sessions: () => [...this.#sessions].map((session) => session.fact()),
    stats: () => ({
      receivedMessages: this.#parts.ledger.acceptedCount,
      deliveredMessages: this.#parts.ledger.deliveredCount,
      droppedMessages: this.#parts.ledger.droppedCount,
      connectedSessions: this.#sessions.connectedCount,
      startedAtMs: this.#startedAt,
    }),
  };

  /** Ends every connection, then writes what is left. */
  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    for (const stop of this.#stops) stop();
    // Listeners close when their last connection has: both at once.
    const listenersClosed = this.#listeners?.close();
    for (const connection of [...this.#connections]) connection.end('shutting-down');
    // Closes reach Aedes in the next turn, and their wills the log in the one after.
    await new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));
    await this.#host?.close();
    await listenersClosed;
    await this.#parking.close();
    await this.#store.close();
  }

  async #open(): Promise<void> {
    const { clock, log, messageLog } = this.#parts;
    const recovered = await recover({
      store: this.#store,
      messageLog,
      sessions: this.#sessions,
      parking: this.#parking,
      router: this.#router,
      retained: this.#retained,
    });
    const wills = await this.#wills.publishLeftOver();
    log.info({ ...recovered, wills, retained: this.#retained.count }, 'broker recovered');
    // The log keeps what sessions owe, and what the state store has not written yet.
    messageLog.addHolder(() => Math.min(this.#sessions.lowestOwed(), this.#flushedThrough + 1));
    messageLog.onRelief(() => {
      for (const connection of [...this.#connections]) connection.release();
    });
    this.#host = await AedesHost.open(
      hostHooks({
        log,
        admission: this.#admission,
        subscriptions: this.#subscriptions,
        wills: this.#wills,
        attach: (connection) => this.#attach(connection),
      }),
    );
    this.#stops = [
      clock.every(sweepMs, () => this.#sweep()),
      clock.every(expireMs, () => this.#sessions.expire()),
      this.#feed.start(),
    ];
  }

  #arrive({ socket, listener, remoteAddress }: Arrival): void {
    const { limits } = this.#config;
    if (this.#isClosing || this.#connections.size >= limits.connections) {
      this.#closed.by('overloaded').add();
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    const connection = new Connection(
      socket,
      {
        refreshKeepAlive: (one) => this.#host?.refreshKeepAlive(one),
        closed: (one, reason) => this.#detach(one, reason),
      },
      {
        listener,
        remoteAddress,
        packetBytesMax: limits.packet_bytes,
        // Deliveries stop at `output_bytes`; twice that is reached by answers alone.
        backlogBytesMax: limits.output_bytes * 2,
      },
    );
    this.#connections.add(connection);
    this.#host?.handle(connection);
  }

  #attach(connection: Connection): void {
    const admitted = this.#admission.attach(connection);
    if (admitted === undefined) return;
    const { session, principal } = admitted;
    const inbox = new Inbox(
      {
        clock: this.#parts.clock,
        ledger: this.#parts.ledger,
        acceptance: this.#acceptance,
        router: this.#router,
        uplink: this.#parts.uplink,
        authorize,
      },
      { session, connection, principal },
    );
    session.outbox.attach(connection);
    this.#feed.changed(session);
    this.#parts.log.debug({ client_id: session.clientId, ...session.facts }, 'session connected');
    // Last: what the client sent behind CONNECT is dealt with at once, and may be DISCONNECT.
    connection.open(inbox);
  }

  #detach(connection: Connection, reason: CloseReason): void {
    this.#connections.delete(connection);
    this.#closed.by(reason).add();
    const session = this.#admission.detach(connection, reason);
    if (session === undefined) return;
    if (session.identity.isKept) this.#feed.changed(session);
    this.#parts.log.debug({ client_id: session.clientId, reason }, 'session disconnected');
  }

  /** Disconnects readers that take nothing, and moves on what the log may free. */
  #sweep(): void {
    const now = performance.now();
    const drainMs = this.#config.limits.drain_seconds * 1_000;
    for (const connection of this.#connections) {
      if (connection.blockedMs(now) > drainMs) connection.end('slow-reader');
      // What it sent meanwhile has not been read: it must not be timed out for that.
      else if (connection.isPaused) this.#host?.refreshKeepAlive(connection);
    }
    this.#parking.round(this.#sessions.journals());
    this.#sessions.retry();
    for (const session of this.#sessions) session.noteReceived();
    const through = this.#parts.messageLog.durableThrough;
    this.#store
      .commit()
      .then(() => {
        this.#flushedThrough = through;
      })
      .catch((error: unknown) => this.#parts.log.error({ err: error }, 'state store failed'));
  }
}
