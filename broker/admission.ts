/**
 * CONNECT: what is checked before a client may have its session, and how the two are joined.
 * Source: MQTT 3.1.1 sections 3.1 and 3.2.
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { CounterFamily, Metrics } from '../base/metrics.ts';
import { topicNameFault } from '../base/topic.ts';
import type { ConnectPacket, Will } from './aedes-host.ts';
import type { Authenticate } from './authenticate.ts';
import type { Authorize, Principal } from './authorize.ts';
import type { Connection } from './connection/connection.ts';
import type { CloseReason } from './connection/connection-port.ts';
import { connackCodes, connackFrame, connackUnsupportedVersion5 } from './connection/frames.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';
import type { StateStore } from './store/state-store.ts';
import type { Takeover } from './takeover.ts';

export interface AdmissionParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly authenticate: Authenticate;
  readonly authorize: Authorize;
  readonly takeover: Takeover;
  readonly sessions: Sessions;
  readonly store: StateStore;
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
  readonly #connects = new WeakMap<Connection, ConnectPacket>();
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
    const version = packet.protocolVersion & 0x7f;
    if (version === 5) {
      // Said in the client's own protocol, so that it can fall back to 3.1.1.
      return this.#refuse(connection, 'protocol-version', connackUnsupportedVersion5());
    }
    if (version !== 3 && version !== 4) {
      return this.#refuse(
        connection,
        'protocol-version',
        connackFrame(connackCodes.unacceptableProtocol),
      );
    }
    if (packet.clientId === '') {
      // [MQTT-3.1.3-8] no identifier, so nothing to keep a session under.
      if (!packet.clean) {
        return this.#refuse(
          connection,
          'client-id-empty',
          connackFrame(connackCodes.identifierRejected),
        );
      }
      packet.clientId = `auto-${randomUUID()}`;
    }
    if (packet.will !== undefined && !this.#isWillValid(packet)) {
      return this.#refuse(connection, 'will-invalid', connackFrame(connackCodes.notAuthorized));
    }
    this.#connects.set(connection, packet);
    return true;
  }

  /** Credentials, then ownership of the identifier, then the session. 0 or a CONNACK code. */
  async admit(connection: Connection): Promise<number> {
    const packet = this.#connects.get(connection);
    if (packet === undefined) return connackCodes.serverUnavailable;
    const username = packet.username ?? '';
    if (!this.#parts.authenticate(username, packet.password ?? Buffer.alloc(0))) {
      this.#count('credentials', connection);
      return connackCodes.badCredentials;
    }
    const { clientId } = packet;
    const isOwner = await this.#parts.takeover.claim(clientId, connection);
    if (!isOwner) return connackCodes.serverUnavailable;
    const { session, wasPresent, isDurable } = this.#parts.sessions.open({
      clientId,
      isKept: !packet.clean,
      username,
    });
    connection.sessionPresent = wasPresent;
    this.#admitted.set(connection, { principal: { clientId, username }, session });
    // What CONNACK says of the session must hold after a crash too.
    if (!isDurable) await this.#parts.store.commit();
    return 0;
  }

  /** CONNACK is out: the session has its connection. */
  attach(connection: Connection): Admitted | undefined {
    const admitted = this.#admitted.get(connection);
    const packet = this.#connects.get(connection);
    if (admitted === undefined || packet === undefined) return undefined;
    const facts = {
      protocol: protocolNames.get(packet.protocolVersion & 0x7f) ?? '',
      listener: connection.listener,
      remoteAddress: connection.remoteAddress,
      keepAliveSeconds: packet.keepalive,
    };
    admitted.session.connected(connection, facts, this.#parts.clock.now());
    this.#parts.sessions.save(admitted.session);
    this.#connects.delete(connection);
    return admitted;
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
    if (session.identity.isKept) this.#parts.sessions.save(session);
    else this.#parts.sessions.end(session);
    return session;
  }

  /** A will is a publish: it is checked like one. */
  #isWillValid(packet: ConnectPacket): boolean {
    const { topic, qos } = packet.will as Will;
    const principal = { clientId: packet.clientId, username: packet.username ?? '' };
    return (
      topicNameFault(topic) === null &&
      qos <= 2 &&
      this.#parts.authorize(principal, 'publish', topic)
    );
  }

  #refuse(connection: Connection, reason: string, frame: Buffer): false {
    this.#count(reason, connection);
    connection.send(frame);
    connection.end('refused');
    return false;
  }

  #count(reason: string, connection: Connection): void {
    // `refused` is the close of what was counted under its own reason before.
    if (reason === 'refused') return;
    this.#refusals.by(reason).add();
    this.#parts.log.info(
      { reason, remote_address: connection.remoteAddress, listener: connection.listener },
      'connection refused',
    );
  }
}
