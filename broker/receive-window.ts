/**
 * How many PUBLISH of QoS 1 and 2 one connection may have under way to the server: its Receive
 * Maximum in MQTT 5. Before MQTT 5 clients are not told of a bound, and only what has to be
 * remembered has one.
 * Source: MQTT 5 section 4.9.
 */
import type { Connection } from './connection/connection.ts';
import type { Session } from './session.ts';

export class ReceiveWindow {
  readonly #received: Session['received'];
  readonly #countMax: number;
  readonly #isTold: boolean;
  /** Packet identifiers of QoS 2 that earlier connections have not released. They are not of this
   * connection, whose bound this is: a client that has forgotten them must not be shut out. */
  readonly #inherited: Set<number> | null;
  /** QoS 1 that waits for its PUBACK. */
  #unacknowledged = 0;

  constructor(session: Session, connection: Connection, countMax: number) {
    const { received } = session;
    this.#received = received;
    this.#countMax = countMax;
    this.#isTold = connection.version === 5;
    this.#inherited = this.#isTold && received.size > 0 ? new Set(received.keys()) : null;
  }

  hasRoom(qos: 1 | 2, count: number): boolean {
    if (!this.#isTold) return qos === 1 || this.#received.size + count <= this.#countMax;
    const underWay = this.#unacknowledged + this.#received.size - this.#inheritedCount();
    return underWay + count <= this.#countMax;
  }

  /** QoS 1 came. */
  took(count: number): void {
    this.#unacknowledged += count;
  }

  /** PUBACK goes out. */
  acknowledged(count: number): void {
    this.#unacknowledged -= count;
  }

  /** A QoS 2 PUBLISH came again. */
  repeated(packetId: number): void {
    this.#inherited?.delete(packetId);
  }

  #inheritedCount(): number {
    if (this.#inherited === null || this.#inherited.size === 0) return 0;
    for (const packetId of this.#inherited) {
      if (!this.#received.has(packetId)) this.#inherited.delete(packetId);
    }
    return this.#inherited.size;
  }
}
