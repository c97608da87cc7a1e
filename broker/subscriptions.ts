/**
 * SUBSCRIBE and UNSUBSCRIBE: what is granted is stored, what was only asked for is not. Retained
 * messages follow the SUBACK.
 * Source: MQTT 3.1.1 and MQTT 5, sections 3.8 to 3.11.
 */

import type { Limits } from '../base/config.ts';
import type { Logger } from '../base/log.ts';
import type { Publication, Qos } from '../base/publication.ts';
import { parseShare } from '../base/topic.ts';
import type { Admission, Admitted } from './admission.ts';
import type { Authorize } from './authorize.ts';
import type { Connection } from './connection/connection.ts';
import type { RequestedFilter } from './connection/request.ts';
import { reasonCodes } from './mqtt5/reason-codes.ts';
import type { MessageLog } from './ports.ts';
import type { Retained } from './routing/retained.ts';
import type { Router } from './routing/router.ts';
import type { GrantedSubscription, Session } from './session.ts';
import type { StateStore } from './store/state-store.ts';

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
  /** Filters whose retained messages are to be sent, as soon as they are current. */
  readonly #fresh = new WeakMap<Session, Map<string, Promise<void>>>();

  constructor(parts: SubscriptionsParts) {
    this.#parts = parts;
  }

  /** The reason code for SUBACK: the granted QoS, or why it is refused. The filter is valid. */
  async grant(connection: Connection, requested: RequestedFilter): Promise<number> {
    const admitted = this.#parts.admission.of(connection);
    if (admitted === undefined) return reasonCodes.unspecifiedError;
    const { filter, qos, noLocal, retainAsPublished, identifier } = requested;
    const refusal = this.#refusal(admitted, requested, unsharedOf(filter));
    if (refusal !== null) return refusal;
    const { session } = admitted;
    const present = session.subscriptions.get(filter);
    const since = present?.since ?? this.#parts.messageLog.durableThrough + 1;
    const granted = { qos, since, noLocal, retainAsPublished, identifier };
    session.subscriptions.set(filter, granted);
    const isCurrent = this.#parts.router.subscribe(session, filter, granted);
    // A shared subscription gets no retained messages (section 4.8.2).
    const isOwn = unsharedOf(filter) === filter;
    const wantsRetained = isOwn && isRetainedDue(requested, present === undefined);
    this.#note(session, filter, { isCurrent, wantsRetained });
    if (session.identity.isKept) {
      const flags = [noLocal ? 1 : 0, retainAsPublished ? 1 : 0];
      const row = [session.clientId, filter, qos, since, ...flags, identifier];
      this.#parts.store.subscriptions.put(row);
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
      const isCurrent = this.#fresh.get(session)?.get(filter);
      if (isCurrent === undefined) continue;
      await isCurrent;
      this.#fresh.get(session)?.delete(filter);
      if (session.connection === connection) await this.#sendRetained(session, filter);
    }
  }

  /** At the client's pace: what does not fit waits here and not in its queue, and in steps, so that
   * one client with a wide filter does not hold up the others. */
  async #sendRetained(session: Session, filter: string): Promise<void> {
    const { connection } = session;
    for await (const step of this.#parts.retained.walk(filter)) {
      for (const publication of step) {
        if (session.outbox.isCrowded) await session.outbox.room();
        const granted = session.subscriptions.get(filter);
        if (granted === undefined || session.connection !== connection) return;
        this.#sendOne(session, granted, publication);
      }
    }
  }

  #sendOne({ outbox }: Session, granted: GrantedSubscription, publication: Publication): void {
    // Replaced meanwhile: the newer one was delivered as it came.
    if (!this.#parts.retained.isCurrent(publication)) return;
    const qos = Math.min(granted.qos, publication.qos) as Qos;
    const identifiers = granted.identifier > 0 ? [granted.identifier] : [];
    outbox.deliver({ sequence: 0, qos, retain: true, publication, identifiers, owner: null });
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

  #refusal(
    { principal, session }: Admitted,
    { filter }: RequestedFilter,
    topics: string,
  ): number | null {
    const { limits, log } = this.#parts;
    const fields = { client_id: principal.clientId, filter };
    if (!this.#parts.authorize(principal, 'subscribe', topics)) {
      log.info(fields, 'subscription refused, not authorized');
      return reasonCodes.notAuthorized;
    }
    if (session.subscriptions.size >= limits.subscriptions && !session.subscriptions.has(filter)) {
      log.info(
        { ...fields, subscriptions_max: limits.subscriptions },
        'subscription refused, too many',
      );
      return reasonCodes.quotaExceeded;
    }
    return null;
  }

  #note(
    session: Session,
    filter: string,
    { isCurrent, wantsRetained }: { isCurrent: Promise<void>; wantsRetained: boolean },
  ): void {
    // A failed fetch leaves what is known here, which is the best there is.
    const settled = isCurrent.catch(() => {});
    const known = this.#fresh.get(session) ?? new Map<string, Promise<void>>();
    if (wantsRetained) known.set(filter, settled);
    this.#fresh.set(session, known);
  }
}

/** [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11] */
function isRetainedDue({ retainHandling }: RequestedFilter, isNew: boolean): boolean {
  return retainHandling === 0 || (retainHandling === 1 && isNew);
}

/** The filter that a shared subscription shares; another is its own. */
function unsharedOf(filter: string): string {
  const share = parseShare(filter);
  return share === null || typeof share === 'string' ? filter : share.filter;
}
