/**
 * SUBSCRIBE and UNSUBSCRIBE: what is granted is stored, what was only asked for is not. Retained
 * messages follow the SUBACK.
 * Source: MQTT 3.1.1 sections 3.8 to 3.11.
 */
import type { Limits } from '../base/config.ts';
import type { Logger } from '../base/log.ts';
import type { Qos } from '../base/publication.ts';
import type { Admission, Admitted } from './admission.ts';
import type { Authorize } from './authorize.ts';
import type { Connection } from './connection/connection.ts';
import type { MessageLog } from './ports.ts';
import type { Retained } from './routing/retained.ts';
import type { Router } from './routing/router.ts';
import type { Session } from './session.ts';
import type { StateStore } from './store/state-store.ts';

/** Retained messages that are handed to a session in one turn of the event loop. */
const retainedStep = 500;

export interface SubscriptionsParts {
  readonly log: Logger;
  readonly limits: Limits;
  readonly authorize: Authorize;
  readonly admission: Admission;
  readonly messageLog: MessageLog;
  readonly store: StateStore;
  readonly router: Router;
  readonly retained: Retained;
  readonly onChanged: (session: Session) => void;
}

export class Subscriptions {
  readonly #parts: SubscriptionsParts;
  /** Filters whose retained messages are being made current. */
  readonly #fresh = new WeakMap<Session, Map<string, Promise<void>>>();

  constructor(parts: SubscriptionsParts) {
    this.#parts = parts;
  }

  /** Answers the granted QoS or null for refused (SUBACK 0x80). The filter is valid. */
  async grant(connection: Connection, filter: string, qos: Qos): Promise<Qos | null> {
    const admitted = this.#parts.admission.of(connection);
    if (admitted === undefined || !this.#isAllowed(admitted, filter)) return null;
    const { session } = admitted;
    const since =
      session.subscriptions.get(filter)?.since ?? this.#parts.messageLog.durableThrough + 1;
    const granted = { qos, since };
    session.subscriptions.set(filter, granted);
    const isCurrent = this.#parts.router.subscribe(session, filter, granted);
    this.#note(session, filter, isCurrent);
    if (session.identity.isKept) {
      this.#parts.store.subscriptions.put([session.clientId, filter, qos, since]);
      await this.#parts.store.commit();
    }
    return qos;
  }

  /** SUBACK is out: retained messages go to the session, each filter on its own. */
  async granted(connection: Connection, filters: readonly string[]): Promise<void> {
    const session = this.#parts.admission.of(connection)?.session;
    if (session === undefined) return;
    this.#parts.onChanged(session);
    for (const filter of filters) {
      await this.#fresh.get(session)?.get(filter);
      this.#fresh.get(session)?.delete(filter);
      if (session.connection === connection) await this.#sendRetained(session, filter);
    }
  }

  /** At the client's pace: what does not fit waits here and not in its queue, and in steps, so that
   * one client with a wide filter does not hold up the others. */
  async #sendRetained(session: Session, filter: string): Promise<void> {
    const { retained } = this.#parts;
    const { connection, outbox } = session;
    let count = 0;
    for (const publication of retained.match(filter)) {
      if (++count % retainedStep === 0) await new Promise((resolve) => setImmediate(resolve));
      if (outbox.isCrowded) await outbox.room();
      const granted = session.subscriptions.get(filter);
      if (granted === undefined || session.connection !== connection) return;
      // Replaced meanwhile: the newer one was delivered as it came.
      if (!retained.isCurrent(publication)) continue;
      const qos = Math.min(granted.qos, publication.qos) as Qos;
      outbox.deliver({ sequence: 0, qos, retain: true, publication });
    }
  }

  async revoke(connection: Connection, filters: readonly string[]): Promise<void> {
    const session = this.#parts.admission.of(connection)?.session;
    for (const filter of filters) {
      if (session?.identity.isKept)
        this.#parts.store.subscriptions.delete([session.clientId, filter]);
    }
    this.revoked(connection, filters);
    await this.#parts.store.commit();
  }

  revoked(connection: Connection, filters: readonly string[]): void {
    const session = this.#parts.admission.of(connection)?.session;
    if (session === undefined) return;
    for (const filter of filters) {
      session.subscriptions.delete(filter);
      this.#parts.router.unsubscribe(session, filter);
    }
    if (session.connection === connection) this.#parts.onChanged(session);
  }

  #isAllowed({ principal, session }: Admitted, filter: string): boolean {
    const { limits, log } = this.#parts;
    const fields = { client_id: principal.clientId, filter };
    if (!this.#parts.authorize(principal, 'subscribe', filter)) {
      log.info(fields, 'subscription refused, not authorized');
      return false;
    }
    if (session.subscriptions.size >= limits.subscriptions && !session.subscriptions.has(filter)) {
      log.info(
        { ...fields, subscriptions_max: limits.subscriptions },
        'subscription refused, too many',
      );
      return false;
    }
    return true;
  }

  #note(session: Session, filter: string, isCurrent: Promise<void>): void {
    const known = this.#fresh.get(session) ?? new Map<string, Promise<void>>();
    // A failed fetch leaves what is known here, which is the best there is.
    known.set(
      filter,
      isCurrent.catch(() => {}),
    );
    this.#fresh.set(session, known);
  }
}
