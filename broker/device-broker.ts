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
import {
  createAuthenticate,
  type EnhancedAuthenticate,
  noEnhancedAuthenticate,
} from './authenticate.ts';
import { authorize } from './authorize.ts';
import { registerGauges } from './broker-gauges.ts';
import { type ServerTerms, serverTerms } from './connect-request.ts';
import { Connection } from './connection/connection.ts';
import type { CloseReason } from './connection/connection-port.ts';
import { Downlink } from './downlink.ts';
import { hostHooks } from './host-hooks.ts';
import { Inbox } from './inbox.ts';
import { type Arrival, type Doors, Listeners, type OpenDoors } from './listeners.ts';
import { Parking } from './parking.ts';
import type { LocalDelivery, MessageLog, SessionListener, Uplink } from './ports.ts';
import { recover } from './recovery.ts';
import { RetainedReplays } from './retained-replays.ts';
import { Retained } from './routing/retained.ts';
import { Router } from './routing/router.ts';
import { SessionFeed } from './session-events.ts';
import { Sessions } from './sessions.ts';
import { StateStore } from './store/state-store.ts';
import { Subscriptions } from './subscriptions.ts';
import { Takeover } from './takeover.ts';
import { Wills } from './wills.ts';

const sweepMs = 1_000;

export interface DeviceBrokerParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly messageLog: MessageLog;
  readonly uplink: Uplink;
  readonly sessionListener: SessionListener;
  /** Methods of enhanced authentication; none when it is left out. */
  readonly enhancedAuthenticate?: EnhancedAuthenticate;
  /** Names clients that leave it to the server. */
  readonly assignClientId?: () => string;
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
  readonly #replays: RetainedReplays;
  readonly #acceptance: Acceptance;
  readonly #admission: Admission;
  readonly #subscriptions: Subscriptions;
  readonly #downlink: Downlink;
  readonly #wills: Wills;
  readonly #feed: SessionFeed;
  readonly #startedAt: number;
  readonly #serverTerms: ServerTerms;
  #host: AedesHost | null = null;
  #doors: Doors | null = null;
  #stops: (() => void)[] = [];
  #flushedThrough = 0;
  #isClosing = false;

  private constructor(parts: DeviceBrokerParts, config: Config, store: StateStore) {
    const { log, clock, ledger, messageLog, uplink, metrics, sessionListener } = parts;
    this.#parts = parts;
    this.#config = config;
    this.#store = store;
    this.#startedAt = clock.now();
    this.#serverTerms = serverTerms(config, parts.assignClientId);
    this.#closed = metrics.counters(
      'trunkline_connections_closed_total',
      'Connections of devices that ended, by reason.',
      'reason',
    );
    this.#retained = new Retained({ log, clock, ledger, store, messageLog }, config.limits);
    const books = { log, store, messageLog };
    this.#parking = new Parking(books);
    const flow = { ...books, ledger, retained: this.#retained };
    this.#router = new Router({ ...flow, uplink, parking: this.#parking }, config.mqtt);
    const common = { ...flow, clock, router: this.#router };
    this.#sessions = new Sessions(
      {
        ...{ ...common, parking: this.#parking, listener: sessionListener },
        onEnded: (session) => this.#wills.sessionEnded(session.clientId),
      },
      config.limits,
    );
    this.#acceptance = new Acceptance(common);
    this.#feed = new SessionFeed(clock, this.#sessions, sessionListener);
    this.#wills = new Wills({ ...common, acceptance: this.#acceptance, uplink });
    this.#admission = new Admission({
      ...{ ...common, metrics, authorize, limits: config.limits },
      ...{ takeover: new Takeover(), sessions: this.#sessions, wills: this.#wills },
      authenticate: createAuthenticate(config.auth),
      assignClientId: this.#serverTerms.assignClientId,
    });
    this.#replays = new RetainedReplays({
      log,
      retained: this.#retained,
      onSettled: (session, filter) => this.#subscriptions.save(session, filter),
    });
    this.#subscriptions = new Subscriptions({
      ...{ ...common, replays: this.#replays },
      authorize,
      limits: config.limits,
      admission: this.#admission,
      onChanged: (session) => this.#feed.changed(session),
    });
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

  /** Lets devices in. Throws what opening the doors throws. */
  async listen(openDoors: OpenDoors = Listeners.open): Promise<void> {
    this.#doors = await openDoors(this.#parts.log, {
      config: this.#config,
      onArrival: (arrival) => this.#arrive(arrival),
    });
  }

  get ports(): Doors['ports'] {
    return this.#doors?.ports ?? new Map();
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
    const doorsClosed = this.#doors?.close();
    for (const connection of [...this.#connections]) connection.end('shutting-down');
    // Closes reach Aedes in the next turn.
    await new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));
    await this.#host?.close();
    await doorsClosed;
    await this.#wills.close();
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
      replays: this.#replays,
    });
    const wills = await this.#wills.restore(
      (clientId) => this.#sessions.get(clientId)?.expirySeconds ?? 0,
    );
    log.info({ ...recovered, wills, retained: this.#retained.count }, 'broker recovered');
    // The log keeps what sessions owe, and what the state store has not written yet.
    messageLog.addHolder(() => Math.min(this.#sessions.lowestOwed(), this.#flushedThrough + 1));
    messageLog.onRelief(() => {
      for (const connection of [...this.#connections]) connection.release();
    });
    this.#host = await AedesHost.open(
      hostHooks({
        admission: this.#admission,
        subscriptions: this.#subscriptions,
        attach: (connection) => this.#attach(connection),
      }),
    );
    this.#stops = [clock.every(sweepMs, () => this.#sweep()), this.#feed.start()];
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
        isSubscribed: (one, filter) => this.#admission.isSubscribed(one, filter),
        keepSession: (one, seconds) => this.#admission.keepSession(one, seconds),
        closed: (one, reason) => this.#detach(one, reason),
      },
      {
        listener,
        remoteAddress,
        server: this.#serverTerms,
        enhanced: this.#parts.enhancedAuthenticate ?? noEnhancedAuthenticate,
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
        limits: this.#config.limits,
      },
      { session, connection, principal },
    );
    session.attach(connection);
    this.#replays.resume(session);
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
    this.#sessions.expire();
    this.#retained.sweep();
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
