/**
 * SUBSCRIBE and UNSUBSCRIBE: what is granted is stored, what was only asked for is not. Retained
 * messages follow the SUBACK.
 * Source: MQTT 3.1.1 and MQTT 5, sections 3.8 to 3.11.
 */

import type { Limits } from '../base/config.ts';
import type { Logger } from '../base/log.ts';
import { parseShare } from '../base/topic.ts';
import type { Admission, Admitted } from './admission.ts';
import type { Authorize } from './authorize.ts';
import type { Connection } from './connection/connection.ts';
import type { RequestedFilter } from './connection/request.ts';
import type { LimitBook } from './limit-book.ts';
import { reasonCodes } from './mqtt5/reason-codes.ts';
import type { MessageLog } from './ports.ts';
import type { RetainedReplays } from './retained-replays.ts';
import type { Router } from './routing/router.ts';
import type { Session } from './session.ts';
import type { StateStore } from './store/state-store.ts';
import { topicBoundPast } from './topic-bounds.ts';

export interface SubscriptionsParts {
  readonly log: Logger;
  readonly limits: Limits;
  readonly authorize: Authorize;
  readonly admission: Admission;
  readonly messageLog: MessageLog;
  readonly store: StateStore;
  readonly limitBook: LimitBook;
  readonly router: Router;
  readonly replays: RetainedReplays;
  readonly onChanged: (session: Session) => void;
}

export class Subscriptions {
  readonly #parts: SubscriptionsParts;

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
    // Nothing was owed with QoS 0: what was delivered so is not to come again.
    const isOwed = present !== undefined && present.qos > 0;
    const since = isOwed ? present.since : this.#parts.messageLog.acceptedThrough + 1;
    // A shared subscription gets no retained messages (section 4.8.2).
    const isOwn = unsharedOf(filter) === filter;
    const wantsRetained = isOwn && isRetainedDue(requested, present === undefined);
    const granted = { qos, since, noLocal, retainAsPublished, identifier };
    session.subscriptions.set(filter, granted);
    const isCurrent = this.#parts.router.subscribe(session, filter, granted);
    if (wantsRetained) this.#parts.replays.due(session, filter, isCurrent);
    if (session.identity.isKept) {
      this.save(session, filter);
      await this.#parts.store.commit();
    }
    return qos;
  }

  /** SUBACK is out: retained messages go to the session. */
  granted(connection: Connection, filters: readonly string[]): void {
    const session = this.#parts.admission.of(connection)?.session;
    if (session === undefined) return;
    this.#parts.onChanged(session);
    this.#parts.replays.send(session, filters);
  }

  /** Writes the row of a kept session's subscription. */
  save(session: Session, filter: string): void {
    const granted = session.subscriptions.get(filter);
    if (granted === undefined) return;
    const { qos, since, noLocal, retainAsPublished, identifier } = granted;
    const isReplaying = this.#parts.replays.isNoted(session, filter);
    const flags = [noLocal ? 1 : 0, retainAsPublished ? 1 : 0, identifier, isReplaying ? 1 : 0];
    this.#parts.store.subscriptions.put([session.clientId, filter, qos, since, ...flags]);
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
      this.#parts.replays.cancel(session, filter);
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
    const past = topicBoundPast(filter, limits);
    if (past !== null) {
      this.#parts.limitBook.met(past, { client_id: principal.clientId });
      return reasonCodes.topicFilterInvalid;
    }
    if (!this.#parts.authorize(principal, 'subscribe', topics)) {
      log.info(fields, 'subscription refused, not authorized');
      return reasonCodes.notAuthorized;
    }
    if (session.subscriptions.size >= limits.subscriptions && !session.subscriptions.has(filter)) {
      this.#parts.limitBook.met('subscriptions', fields);
      return reasonCodes.quotaExceeded;
    }
    return null;
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
