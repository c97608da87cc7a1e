/**
 * One MQTT session: its subscriptions, what it was sent, what it has sent, and the connection that
 * holds it, if any. A kept session (clean session 0, or in MQTT 5 a session expiry above 0) outlives
 * its connections and the process.
 */
import type { Limits } from '../base/config.ts';
import type { Qos } from '../base/publication.ts';
import { type Session as SessionFact, SessionState } from '../proto/gen/trunkline/v1/session.ts';
import type { Principal } from './authorize.ts';
import type { Will } from './connect-request.ts';
import type { Connection } from './connection/connection.ts';
import type { CloseReason, Traffic } from './connection/connection-port.ts';
import type { FrameSink, OutboxParts } from './delivery.ts';
import { Outbox } from './outbox.ts';
import type { SessionJournal } from './session-journal.ts';
import { whoEnded } from './who-ended.ts';

/** Filters that a session fact names; the count says how many there are. */
const factFiltersMax = 100;

export interface GrantedSubscription {
  readonly qos: Qos;
  /** Log sequence from which it counts. */
  readonly since: number;
  /** Not for what the same session publishes. */
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** Subscription identifier; 0 for none. */
  readonly identifier: number;
}

/** A group that the session is a member of. */
export interface SharedMembership {
  /** The session has a connection, or has it no more. */
  presenceChanged(): void;
}

/** What the session is, apart from what flows through it. */
export interface SessionIdentity {
  readonly clientId: string;
  /** It began as one that outlives its connection. */
  readonly isKept: boolean;
  readonly username: string;
  /** Log sequence when it began. */
  readonly beganAt: number;
}

/** A PUBLISH of QoS 2 that came and waits for PUBREL. */
export interface Unreleased {
  isDurable: boolean;
  /** It has a row of its own, because the log may let go of its record. */
  isNoted: boolean;
}

/** How the session's present or last connection came in. */
export interface ConnectionFacts {
  readonly protocol: string;
  readonly listener: string;
  readonly remoteAddress: string;
  readonly keepAliveSeconds: number;
  /** As in `session.proto`. */
  readonly authMethod: string;
  readonly will: Omit<Will, 'payload' | 'properties'> | null;
}

const noConnection = {
  protocol: '',
  listener: '',
  remoteAddress: '',
  keepAliveSeconds: 0,
  authMethod: '',
  will: null,
};

export class Session {
  readonly identity: SessionIdentity;
  readonly subscriptions = new Map<string, GrantedSubscription>();
  /** By shared subscriptions; null before the first one. */
  groups: Set<SharedMembership> | null = null;
  readonly outbox: Outbox;
  readonly journal: SessionJournal | null;
  /** By packet identifier: QoS 2 PUBLISH that wait for PUBREL. */
  readonly received = new Map<number, Unreleased>();
  /** Of a kept session: those whose PUBREL came and is not durable. */
  readonly releasing = new Set<number>();
  connection: Connection | null = null;
  /** Who holds it or held it last; null before somebody did in this run. */
  principal: Principal | null = null;
  facts: ConnectionFacts = noConnection;
  /** Of the present or last connection. */
  protocolVersion: 3 | 4 | 5 = 4;
  /** How long it is kept without a connection; 0 ends it with the present one. */
  expirySeconds = 0;
  connectedAt = 0;
  disconnectedAt = 0;
  disconnectReason = '';
  receivedCount = 0;
  /** Connections since the process began. */
  connectionCount = 0;
  /** Of the last connection. */
  #traffic: Traffic = { received: 0, sent: 0 };

  constructor(identity: SessionIdentity, parts: OutboxParts, limits: Limits) {
    this.identity = identity;
    this.journal = parts.journal;
    this.outbox = new Outbox(parts, limits);
  }

  get clientId(): string {
    return this.identity.clientId;
  }

  /** Some subscription is not for what the session publishes itself. */
  get hasNoLocal(): boolean {
    for (const { noLocal } of this.subscriptions.values()) if (noLocal) return true;
    return false;
  }

  connected(connection: Connection, facts: ConnectionFacts, now: number): void {
    this.connection = connection;
    this.facts = facts;
    this.connectedAt = now;
    this.connectionCount++;
    this.disconnectedAt = 0;
    this.disconnectReason = '';
  }

  /** Deliveries go to its connection from now on. */
  attach(sink: FrameSink): void {
    this.outbox.attach(sink);
    this.#tellGroups();
  }

  disconnected(reason: CloseReason, now: number): void {
    this.#traffic = this.connection?.traffic ?? this.#traffic;
    this.connection = null;
    this.disconnectedAt = now;
    this.disconnectReason = reason;
    this.outbox.detach();
    this.#tellGroups();
  }

  /** PUBREL: true when the identifier was waiting for it. */
  release(packetId: number): boolean {
    const known = this.received.get(packetId);
    if (known?.isNoted === true) this.journal?.forgetReceived(packetId);
    return this.received.delete(packetId);
  }

  /** Writes down what waits for PUBREL, so that the log may let go of it. */
  noteReceived(): void {
    if (this.journal === null) return;
    for (const [packetId, known] of this.received) {
      if (!known.isDurable || known.isNoted) continue;
      known.isNoted = true;
      this.journal.noteReceived(packetId);
    }
  }

  /** As the operators see it; the bridge and the core fill in edge and region. */
  fact(): SessionFact {
    const { outbox, facts, identity, connection } = this;
    const filters = [...this.subscriptions].slice(0, factFiltersMax);
    return {
      clientId: identity.clientId,
      edgeId: '',
      gatewayId: '',
      region: '',
      state: connection === null ? SessionState.KEPT : SessionState.CONNECTED,
      protocol: facts.protocol,
      listener: facts.listener,
      remoteAddress: facts.remoteAddress,
      username: identity.username,
      cleanStart: !identity.isKept,
      keepAliveSeconds: facts.keepAliveSeconds,
      connectedAtMs: this.connectedAt,
      disconnectedAtMs: this.disconnectedAt,
      disconnectReason: this.disconnectReason,
      subscriptions: filters.map(([filter, { qos }]) => ({ filter, qos })),
      subscriptionCount: this.subscriptions.size,
      queueMessages: outbox.queuedCount,
      inflightMessages: outbox.inflightCount,
      receivedMessages: this.receivedCount,
      deliveredMessages: outbox.sums.deliveredCount,
      droppedMessages: outbox.sums.droppedCount,
      sessionExpirySeconds: this.expirySeconds,
      willPresent: facts.will !== null,
      receiveMaximum: connection?.terms.receiveMaximum ?? 0,
      disconnectedBy: whoEnded(this.disconnectReason),
      queueOldestAtMs: outbox.figures.oldestAt,
      // From one telling to the next: who tells knows.
      receivedRate: 0,
      deliveredRate: 0,
      keepAliveMarginMs: this.#keepAliveMarginMs(),
      drops: outbox.sums.drops(),
      updatedAtMs: 0,
      ...this.#wireFact(),
    };
  }

  /** Of its connection, and of what it takes and gives. */
  #wireFact() {
    const { connection, outbox, facts } = this;
    const { will } = facts;
    const traffic = connection?.traffic ?? this.#traffic;
    return {
      authMethod: facts.authMethod,
      willTopic: will?.topic ?? '',
      willQos: will?.qos ?? 0,
      willRetain: will?.retain ?? false,
      willDelaySeconds: will?.delaySeconds ?? 0,
      maximumPacketBytes: connection?.terms.packetBytesMax ?? 0,
      topicAliasMaximum: connection?.terms.topicAliasMaximum ?? 0,
      sharedSubscriptionCount: this.groups?.size ?? 0,
      receivedBytes: traffic.received,
      sentBytes: traffic.sent,
      queueBytes: outbox.figures.bytes,
      unsentBytes: connection?.backlogBytes ?? 0,
      blockedMs: Math.round(connection?.blockedMs(performance.now()) ?? 0),
      unreleasedMessages: this.received.size,
      connectionCount: this.connectionCount,
      roundTripUs: outbox.figures.roundTripUs,
      receivedByteRate: 0,
      sentByteRate: 0,
      droppedRate: 0,
    };
  }

  /** 0 while there is nothing to tell. */
  #keepAliveMarginMs(): number {
    const silence = this.connection?.keepAlive.longestSilenceMs ?? 0;
    const { keepAliveSeconds } = this.facts;
    if (silence === 0 || keepAliveSeconds === 0) return 0;
    return Math.max(1, Math.round(keepAliveSeconds * 1_500 - silence));
  }

  #tellGroups(): void {
    if (this.groups !== null) for (const group of this.groups) group.presenceChanged();
  }
}
