/**
 * CONNECT: what is checked before a client may have its session, and how the two are joined.
 * Source: MQTT 3.1.1 and MQTT 5, sections 3.1 and 3.2.
 */
import type { Clock } from '../base/clock.ts';
import type { Limits } from '../base/config.ts';
import { type Identity, plainIdentity } from '../base/identity.ts';
import { innerClientPrefix, isInnerClient } from '../base/inner-client.ts';
import type { Logger } from '../base/log.ts';
import type { CounterFamily, Metrics } from '../base/metrics.ts';
import type { ConnectPacket } from './aedes-host.ts';
import type { Credentials, Verdict } from './auth/authenticator.ts';
import type { Authentication } from './auth/configured.ts';
import { refusalOf } from './auth/refusals.ts';
import type { Authorize, Principal } from './authorize.ts';
import type { ConnectRequest, Will } from './connect-request.ts';
import { isVersion31, requestOf } from './connect-request-311.ts';
import type { Connection } from './connection/connection.ts';
import type { CloseReason } from './connection/connection-port.ts';
import type { Refusal } from './connection/dialect.ts';
import { connackCodes } from './connection/frames.ts';
import type { LimitBook } from './limit-book.ts';
import { innerListener } from './listeners.ts';
import { reasonCodes } from './mqtt5/reason-codes.ts';
import type { Session } from './session.ts';
import type { Caller } from './session-events.ts';
import type { Sessions } from './sessions.ts';
import type { StateStore } from './store/state-store.ts';
import type { Takeover } from './takeover.ts';
import { willBoundPast, willFault, willNotAuthorized, willTooLarge } from './will-check.ts';
import type { Wills } from './wills.ts';

export interface AdmissionParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly authentication: Authentication;
  readonly authorize: Authorize;
  readonly takeover: Takeover;
  readonly sessions: Sessions;
  readonly store: StateStore;
  readonly wills: Wills;
  readonly limits: Limits;
  readonly limitBook: LimitBook;
  readonly assignClientId: () => string;
  /** A connection has ended, or is about to, before it had a session. */
  readonly onRefused: (caller: Caller, reason: string) => void;
}

/** A client between CONNECT and the end of its connection. */
export interface Admitted {
  readonly principal: Principal;
  readonly session: Session;
}

const protocolNames = new Map([
  [3, '3.1'],
  [4, '3.1.1'],
  [5, '5'],
]);

export class Admission {
  readonly #parts: AdmissionParts;
  readonly #requests = new WeakMap<Connection, ConnectRequest>();
  readonly #admitted = new WeakMap<Connection, Admitted>();
  readonly #refusals: CounterFamily;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
    this.#refusals = parts.metrics.counters(
      'trunkline_connections_refused_total',
      'Connections that ended before CONNACK success, by reason.',
      'reason',
    );
  }

  /** Who holds the connection; undefined before CONNECT has succeeded. */
  of(connection: Connection): Admitted | undefined {
    return this.#admitted.get(connection);
  }

  /** Checks CONNECT itself; false when it was answered with a refusal. */
  connecting(connection: Connection, packet: ConnectPacket): boolean {
    // [MQTT-3.1.3-8] no identifier, so nothing to keep a session under; MQTT 3.1 wants one always.
    if (packet.clientId === '' && (!packet.clean || isVersion31(packet))) {
      return this.refuse(
        connection,
        { reason: 'client-id-empty', clientId: '' },
        {
          returnCode: connackCodes.identifierRejected,
          reasonCode: reasonCodes.clientIdentifierNotValid,
          reasonString: 'The client identifier is empty.',
        },
      );
    }
    if (packet.clientId === '') packet.clientId = this.#parts.assignClientId();
    if (isInnerClient(packet.clientId) && connection.listener !== innerListener) {
      return this.refuse(
        connection,
        { reason: 'client-id-reserved', clientId: packet.clientId },
        {
          returnCode: connackCodes.identifierRejected,
          reasonCode: reasonCodes.clientIdentifierNotValid,
          reasonString: `Client identifiers that begin with ${innerClientPrefix} are the server's own.`,
        },
      );
    }
    const request =
      connection.request ?? requestOf(packet, this.#parts.limits.session_expiry_seconds);
    const refusal = request.will === null ? null : this.#willFault(request.will);
    if (refusal !== null) {
      const { clientId } = request;
      return this.refuse(connection, { reason: 'will-invalid', clientId }, refusal);
    }
    const { keep_alive_seconds_min: min } = this.#parts.limits;
    if (packet.keepalive > 0 && packet.keepalive < min) packet.keepalive = min;
    this.#requests.set(connection, request);
    return true;
  }

  /** Credentials, then rights, then ownership of the identifier, then the session. 0, or a CONNACK
   * code where the client has not been answered already. */
  async admit(connection: Connection): Promise<number> {
    const request = this.#requests.get(connection);
    if (request === undefined) return connackCodes.serverUnavailable;
    const asked = this.#verdictOn(connection, request);
    const verdict = asked instanceof Promise ? await asked : asked;
    const principal = this.#principalOf(connection, request, verdict);
    if (principal === null) return connackCodes.serverUnavailable;
    const { clientId, cleanStart } = request;
    const { username } = principal;
    const isOwner = await this.#parts.takeover.claim(clientId, connection);
    if (!isOwner) return connackCodes.serverUnavailable;
    const expirySeconds = request.sessionExpirySeconds;
    const opened = this.#parts.sessions.open({ clientId, username, cleanStart, expirySeconds });
    // The byte is reserved in CONNACK of MQTT 3.1.
    connection.sessionPresent = opened.wasPresent && request.version !== 3;
    this.#admitted.set(connection, {
      principal,
      session: opened.session,
    });
    const hasWillChanged = await this.#parts.wills.replace(principal, connection, request.will);
    // What CONNACK says of the session must hold after a crash too, and so must the will.
    if (hasWillChanged || !opened.isDurable) await this.#parts.store.commit();
    return 0;
  }

  /** CONNACK is out: the session has its connection. */
  attach(connection: Connection): Admitted | undefined {
    const admitted = this.#admitted.get(connection);
    const request = this.#requests.get(connection);
    if (admitted === undefined || request === undefined) return undefined;
    const facts = {
      protocol: protocolNames.get(request.version) ?? '',
      listener: connection.listener,
      remoteAddress: connection.remoteAddress,
      keepAliveSeconds: request.keepAliveSeconds,
      authMethod: admitted.principal.identity.method,
      will: request.will === null ? null : withoutPayload(request.will),
    };
    const { session } = admitted;
    session.protocolVersion = request.version;
    session.connected(connection, facts, this.#parts.clock.now());
    this.#parts.sessions.save(session);
    this.#requests.delete(connection);
    // It carries the password and the will.
    connection.request = null;
    return admitted;
  }

  /** The client has proved itself anew; false when it is somebody else now, or has no right to the
   * identifier. Rights are those of CONNECT until it comes again. */
  renew(connection: Connection, identity: Identity): boolean {
    const admitted = this.#admitted.get(connection);
    if (admitted === undefined) return false;
    const { principal } = admitted;
    const verdict = { kind: 'accepted', identity } as const;
    const settled = this.#parts.authentication.settle(verdict, principal.clientId);
    const { name, tenant } = principal.identity;
    const isSame = name === identity.name && tenant === identity.tenant;
    if (settled.kind !== 'accepted' || !isSame) return false;
    this.#parts.authorize.become(principal, identity);
    connection.expiresAt = identity.expiresAt;
    return true;
  }

  /** DISCONNECT says how long the session is to be kept from now on. */
  keepSession(connection: Connection, expirySeconds: number): void {
    const session = this.#admitted.get(connection)?.session;
    if (session !== undefined) session.expirySeconds = expirySeconds;
  }

  isSubscribed(connection: Connection, filter: string): boolean {
    return this.#admitted.get(connection)?.session.subscriptions.has(filter) ?? false;
  }

  /** The connection is gone: a kept session stays, another ends. Answers the session it had. */
  detach(connection: Connection, reason: CloseReason): Session | undefined {
    const session = this.#admitted.get(connection)?.session;
    if (session === undefined) {
      this.#count(reason, connection);
      return undefined;
    }
    // It may have been admitted but never attached.
    if (session.connection !== null && session.connection !== connection) return undefined;
    session.disconnected(reason, this.#parts.clock.now());
    const { clientId, expirySeconds } = session;
    this.#parts.wills.connectionEnded(clientId, connection, {
      isWanted: reason !== 'disconnected',
      keptSeconds: expirySeconds,
    });
    if (expirySeconds > 0) this.#parts.sessions.save(session);
    else this.#parts.sessions.end(session);
    return session;
  }

  /** A promise only where an authenticator has to wait. */
  #verdictOn(connection: Connection, request: ConnectRequest): Verdict | Promise<Verdict> {
    const { clientId, username, password, identity } = request;
    if (identity !== null) return { kind: 'accepted', identity };
    const { listener, remoteAddress, certificate } = connection;
    if (listener === innerListener) {
      const inner = plainIdentity({ name: clientId, username, method: 'internal' });
      return { kind: 'accepted', identity: inner };
    }
    const brought: Credentials = {
      ...{ clientId, username, password, certificate, remoteAddress, listener },
    };
    return this.#parts.authentication.authenticate(brought);
  }

  #willFault(will: Will): Refusal | null {
    const { limits, limitBook } = this.#parts;
    const past = willBoundPast(will, limits);
    if (past !== null) limitBook.met(past);
    return past === null ? willFault(will) : willTooLarge[past];
  }

  /** Who the client is from now on; null when it was answered with a refusal. */
  #principalOf(
    connection: Connection,
    { clientId, will }: ConnectRequest,
    proved: Verdict,
  ): Principal | null {
    if (connection.destroyed) return null;
    const { authentication } = this.#parts;
    const isInner = connection.listener === innerListener;
    const verdict = isInner ? proved : authentication.settle(proved, clientId);
    if (verdict.kind !== 'accepted') {
      const reason = verdict.kind === 'refused' ? verdict.reason : 'credentials';
      this.refuse(connection, { reason, clientId }, refusalOf(reason));
      return null;
    }
    const { identity } = verdict;
    const { authorize, log } = this.#parts;
    const principal = authorize.principal(clientId, identity);
    connection.expiresAt = identity.expiresAt;
    if (will === null) return principal;
    // A will is a publish: it is checked like one.
    const { isAllowed, reason, rule } = authorize.will(principal.subject, will);
    if (isAllowed) return principal;
    const { topic } = will;
    log.info({ client_id: clientId, topic, reason, rule }, 'will refused, not authorized');
    this.refuse(connection, { reason: 'will-invalid', clientId }, willNotAuthorized);
    return null;
  }

  /** Answers CONNECT with a refusal that is counted. */
  refuse(
    connection: Connection,
    { reason, clientId }: { readonly reason: string; readonly clientId: string },
    refusal: Refusal,
  ): false {
    this.#count(reason, connection, clientId);
    connection.refuse(refusal);
    return false;
  }

  #count(reason: string, connection: Connection, clientId = ''): void {
    // `refused` is the close of what was counted under its own reason before.
    if (reason === 'refused') return;
    this.#refusals.by(reason).add();
    const { listener, remoteAddress } = connection;
    const request = this.#requests.get(connection);
    const caller = {
      clientId: request?.clientId ?? clientId,
      username: request?.username ?? '',
      protocol: request === undefined ? '' : (protocolNames.get(request.version) ?? ''),
      listener,
      remoteAddress,
    };
    this.#parts.onRefused(caller, reason);
    this.#parts.log.info({ reason, remote_address: remoteAddress, listener }, 'connection refused');
  }
}

function withoutPayload({ topic, qos, retain, delaySeconds }: Will) {
  return { topic, qos, retain, delaySeconds };
}
