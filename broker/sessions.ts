/**
 * Every session of the edge by client identifier: opens, keeps, ends and expires them. The state
 * store has a row for each kept one.
 */
import type { Clock } from '../base/clock.ts';
import type { Limits } from '../base/config.ts';
import { isInnerClient } from '../base/inner-client.ts';
import type { Ledger } from '../base/ledger.ts';
import type { Logger } from '../base/log.ts';
import type { Publication } from '../base/publication.ts';
import type { Parking } from './parking.ts';
import type { MessageLog, SessionListener } from './ports.ts';
import type { Router } from './routing/router.ts';
import { Session, type SessionIdentity } from './session.ts';
import { SessionJournal } from './session-journal.ts';
import type { SessionRow, StateStore } from './store/state-store.ts';

export interface SessionsParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly store: StateStore;
  readonly messageLog: MessageLog;
  readonly parking: Parking;
  readonly router: Router;
  readonly listener: SessionListener;
  /** A session is no more. */
  readonly onEnded: (session: Session) => void;
  /** It was kept for as long as it was to be, and is about to end. */
  readonly onExpired: (session: Session) => void;
}

/** Who connects, and for how long the session is to be kept. */
export interface SessionClaim {
  readonly clientId: string;
  readonly username: string;
  /** Whatever session there is ends. */
  readonly cleanStart: boolean;
  /** 0 for a session that ends with its connection. */
  readonly expirySeconds: number;
}

export class Sessions implements Iterable<Session> {
  readonly #parts: SessionsParts;
  readonly #limits: Limits;
  /** Of sessions within the process. */
  readonly #innerLimits: Limits;
  readonly #sessions = new Map<string, Session>();
  readonly #read: (sequence: number) => Promise<Publication | null>;
  /** Their messages could not be read back: to be tried again. */
  readonly #stalled = new Set<Session>();

  constructor(parts: SessionsParts, limits: Limits) {
    this.#parts = parts;
    this.#limits = limits;
    this.#read = (sequence) => parts.parking.read(sequence);
    const { foreign_queue_messages: countMax, foreign_queue_bytes: bytesMax } = limits;
    this.#innerLimits = {
      ...limits,
      queue_messages: countMax,
      queue_bytes: bytesMax,
      inflight: 1_000,
    };
  }

  get count(): number {
    return this.#sessions.size;
  }

  get connectedCount(): number {
    let count = 0;
    for (const session of this.#sessions.values()) if (session.connection !== null) count++;
    return count;
  }

  get(clientId: string): Session | undefined {
    return this.#sessions.get(clientId);
  }

  [Symbol.iterator](): Iterator<Session> {
    return this.#sessions.values();
  }

  /**
   * The session for a client that connects: the kept one when there is one and it asks for it, else
   * a new one. [MQTT-3.1.2-4] a clean start discards the one before.
   */
  open(claim: SessionClaim): {
    session: Session;
    wasPresent: boolean;
    /** False when the state store has to write first: what begins, or what is discarded. */
    isDurable: boolean;
  } {
    const { clientId, username, expirySeconds } = claim;
    const present = this.#sessions.get(clientId);
    if (present !== undefined) {
      if (this.#isContinued(present, claim)) {
        const isDurable = present.expirySeconds === expirySeconds;
        present.expirySeconds = expirySeconds;
        present.disconnectedAt = 0;
        if (!isDurable) this.save(present);
        return { session: present, wasPresent: true, isDurable };
      }
      this.end(present);
    }
    const isKept = expirySeconds > 0;
    // What its predecessor sent may still be on its way to the disk: that is before it, too.
    const { acceptedThrough, appendedThrough: beganAt } = this.#parts.messageLog;
    const session = this.#create(
      { clientId, username, isKept, beganAt },
      { settledThrough: acceptedThrough, ahead: new Set() },
    );
    session.expirySeconds = expirySeconds;
    this.save(session);
    const isDurable = !isKept && present?.identity.isKept !== true;
    return { session, wasPresent: false, isDurable };
  }

  /** A kept session of an earlier run. */
  restore(row: SessionRow, ahead: Set<number>): Session {
    const identity = {
      clientId: row.client_id,
      isKept: true,
      username: row.username,
      beganAt: row.began_at,
    };
    const session = this.#create(identity, { settledThrough: row.settled_through, ahead });
    const expiryMax = this.#limits.session_expiry_seconds;
    session.expirySeconds = Math.min(row.expiry_seconds ?? expiryMax, expiryMax);
    session.connectedAt = row.connected_at;
    session.disconnectedAt = row.disconnected_at || this.#parts.clock.now();
    session.disconnectReason = row.disconnected_at === 0 ? 'edge-restarted' : 'disconnected';
    return session;
  }

  /** Writes the row of a kept session; of others there is none. */
  save(session: Session): void {
    const { journal, identity } = session;
    if (journal === null || this.#sessions.get(identity.clientId) !== session) return;
    this.#parts.store.sessions.put([
      identity.clientId,
      identity.beganAt,
      journal.settledThrough,
      session.connection === null ? session.disconnectedAt : 0,
      identity.username,
      session.connectedAt,
      session.expirySeconds,
    ]);
  }

  end(session: Session): void {
    for (const filter of session.subscriptions.keys()) {
      this.#parts.router.unsubscribe(session, filter);
    }
    session.subscriptions.clear();
    session.outbox.abandon();
    session.journal?.end();
    this.#sessions.delete(session.clientId);
    if (session.identity.isKept) this.#parts.store.dropSession(session.clientId);
    this.#parts.listener.sessionRemoved(session.clientId);
    this.#parts.onEnded(session);
  }

  /** Ends kept sessions whose time without a connection is over. */
  expire(): void {
    for (const session of [...this.#sessions.values()]) {
      if (!this.#isExpired(session)) continue;
      this.#parts.log.info({ client_id: session.clientId }, 'session expired');
      this.#parts.onExpired(session);
      this.end(session);
    }
  }

  #isExpired({ clientId, connection, disconnectedAt, expirySeconds }: Session): boolean {
    // 0: let in, and its connection is on the way.
    if (connection !== null || disconnectedAt === 0) return false;
    // It waits for another broker as long as the configuration names that.
    if (isInnerClient(clientId)) return false;
    return disconnectedAt + expirySeconds * 1_000 <= this.#parts.clock.now();
  }

  #isContinued(present: Session, { cleanStart, username }: SessionClaim): boolean {
    const { identity } = present;
    const isSameUser = identity.isKept && identity.username === username;
    return !cleanStart && isSameUser && !this.#isExpired(present);
  }

  /** Tries again what could not be read back. */
  retry(): void {
    const stalled = [...this.#stalled];
    this.#stalled.clear();
    for (const session of stalled) session.outbox.pump();
  }

  /** The lowest log sequence that must stay in the log for the sake of a session or a shared
   * subscription; Infinity for none. */
  lowestOwed(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const journal of this.journals()) {
      lowest = Math.min(lowest, journal.lowestOwedAbove(this.#parts.parking.through));
    }
    return lowest;
  }

  *journals(): Iterable<SessionJournal> {
    for (const { journal } of this.#sessions.values()) if (journal !== null) yield journal;
    yield* this.#parts.router.groups.journals();
  }

  #create(
    identity: SessionIdentity,
    settled: { settledThrough: number; ahead: Set<number> },
  ): Session {
    const { log, clock, store, parking, ledger } = this.#parts;
    const onFailure = (error: unknown) => {
      log.error({ err: error, client_id: identity.clientId }, 'session delivery failed');
      this.#stalled.add(session);
    };
    const onLost = (sequence: number) => {
      log.error({ client_id: identity.clientId, sequence }, 'message to deliver is not in the log');
    };
    const journalParts = {
      store,
      onFailure,
      saveSettled: () => this.save(session),
      onSettled: (sequence: number) => parking.release(sequence),
    };
    const journal = identity.isKept
      ? new SessionJournal(journalParts, { clientId: identity.clientId, ...settled })
      : null;
    const session: Session = new Session(
      identity,
      { clock, ledger, journal, read: this.#read, onLost, onFailure },
      isInnerClient(identity.clientId) ? this.#innerLimits : this.#limits,
    );
    this.#sessions.set(identity.clientId, session);
    return session;
  }
}
