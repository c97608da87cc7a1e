/**
 * Control packets of an open connection, other than those of the message flow: what of them goes to
 * Aedes, and what the client gets for Aedes's answers.
 * Source: MQTT 3.1.1 and MQTT 5, sections 3.8 to 3.14.
 */
import type { Connection } from './connection.ts';
import type { CloseReason, ConnectionHooks } from './connection-port.ts';
import type { Dialect } from './dialect.ts';
import { dialect311 } from './dialect-311.ts';
import type { FrameScanner } from './frame-scanner.ts';
import { packetTypes } from './frames.ts';
import { PendingSubscribe, PendingUnsubscribe } from './request.ts';

export class Control {
  dialect: Dialect = dialect311;
  readonly #connection: Connection;
  readonly #hooks: ConnectionHooks;
  readonly #filtersMax: number;
  #pending: PendingSubscribe | PendingUnsubscribe | null = null;

  constructor(connection: Connection, hooks: ConnectionHooks, filtersMax: number) {
    this.#connection = connection;
    this.#hooks = hooks;
    this.#filtersMax = filtersMax;
  }

  /** Aedes is answering, and what follows may depend on it. */
  get isAwaiting(): boolean {
    return this.#pending !== null;
  }

  /** The SUBSCRIBE that Aedes is answering. */
  get subscribing(): PendingSubscribe | null {
    return this.#pending instanceof PendingSubscribe ? this.#pending : null;
  }

  /** Why the connection must end, or null. */
  take(frame: FrameScanner): CloseReason | null {
    switch (frame.type) {
      case packetTypes.subscribe: {
        const request = this.dialect.subscribe(frame, this.#filtersMax);
        return typeof request === 'string' ? request : this.#ask(new PendingSubscribe(request));
      }
      case packetTypes.unsubscribe: {
        const request = this.dialect.unsubscribe(frame, this.#filtersMax);
        if (typeof request === 'string') return request;
        const has = (filter: string) => this.#hooks.isSubscribed(this.#connection, filter);
        return this.#ask(new PendingUnsubscribe(request, has));
      }
      case packetTypes.pingreq:
        if (frame.flags !== 0 || frame.end > frame.bodyStart) return 'malformed';
        this.#connection.pass(frame.buffer.subarray(frame.start, frame.end));
        return null;
      case packetTypes.disconnect:
        return this.#disconnect(frame);
      default:
        return 'protocol-error'; // [MQTT-3.1.0-2] and packets that only a server sends
    }
  }

  /** A packet of Aedes. */
  answer(frame: Buffer): void {
    switch ((frame[0] as number) >> 4) {
      case packetTypes.connack:
        this.#connection.reply(this.dialect.connack(frame, this.#connection.sessionPresent));
        return;
      case packetTypes.suback:
      case packetTypes.unsuback:
        this.#acknowledge();
        return;
      default:
        this.#connection.reply(frame);
    }
  }

  #ask(pending: PendingSubscribe | PendingUnsubscribe): null {
    this.#pending = pending;
    const frame = pending.frame311();
    if (frame === null) this.#acknowledge();
    // What the client itself sent to be retained before is retained for this subscription.
    else this.#hooks.whenRetained(this.#connection, () => this.#connection.pass(frame));
    return null;
  }

  #acknowledge(): void {
    const pending = this.#pending;
    if (pending === null) return;
    this.#pending = null;
    const { packetId } = pending;
    const codes = pending.codes();
    const { dialect } = this;
    const isSubscribe = pending instanceof PendingSubscribe;
    this.#connection.reply(
      isSubscribe ? dialect.suback(packetId, codes) : dialect.unsuback(packetId, codes),
    );
  }

  /** Aedes hears of it by the end of the connection. */
  #disconnect(frame: FrameScanner): CloseReason {
    const said = this.dialect.disconnect(frame);
    if (typeof said === 'string') return said;
    const { sessionExpirySeconds, withWill } = said;
    if (sessionExpirySeconds !== null)
      this.#hooks.keepSession(this.#connection, sessionExpirySeconds);
    return withWill ? 'disconnected-with-will' : 'disconnected';
  }
}
