/**
 * SUBSCRIBE and UNSUBSCRIBE: what is granted is stored, what was only asked for is not. Retained
 * messages follow the SUBACK.
 * Source: MQTT 3.1.1 and MQTT 5, sections 3.8 to 3.11.
 */

import type { Limits } from '../base/config.ts';
import type { Logger } from '../base/log.ts';
import type { Qos } from '../base/publication.ts';
import { parseShare } from '../base/topic.ts';
import type { Admission, Admitted } from './admission.ts';
import type { Principal } from './authorize.ts';
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
    const { filter, noLocal, retainAsPublished, identifier } = requested;
    const answer = this.#answer(admitted, requested);
    if (answer >= failure) return answer;
    const qos = answer as Qos;
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
    if (session !== undefined) this.#forget(session, filters);
    this.revoked(connection, filters);
    await this.#parts.store.commit();
  }

  /** Takes back what the rules of now do not grant, and lowers what they grant at a lower QoS.
   * Answers the filters that are gone. */
  recheck(session: Session, { grants, clientId }: Principal): readonly string[] {
    const gone: string[] = [];
    for (const [filter, granted] of [...session.subscriptions]) {
      const { isAllowed, qos, rule } = grants.subscribe(unsharedOf(filter), granted.qos);
      if (!isAllowed) {
        gone.push(filter);
        this.#parts.log.info({ client_id: clientId, filter, rule }, 'subscription taken back');
      } else if (qos < granted.qos) {
        const lower = { ...granted, qos };
        session.subscriptions.set(filter, lower);
        void this.#parts.router.subscribe(session, filter, lower);
        if (session.identity.isKept) this.save(session, filter);
      }
    }
    this.#forget(session, gone);
    this.#remove(session, gone);
    if (gone.length > 0) this.#parts.onChanged(session);
    return gone;
  }

  revoked(connection: Connection, filters: readonly string[]): void {
    const session = this.#parts.admission.of(connection)?.session;
    if (session === undefined) return;
    this.#remove(session, filters);
    if (session.connection === connection) this.#parts.onChanged(session);
  }

  #remove(session: Session, filters: readonly string[]): void {
    for (const filter of filters) {
      session.subscriptions.delete(filter);
      this.#parts.replays.cancel(session, filter);
      this.#parts.router.unsubscribe(session, filter);
    }
  }

  /** The rows of a kept session. */
  #forget(session: Session, filters: readonly string[]): void {
    if (!session.identity.isKept) return;
    for (const filter of filters) {
      this.#parts.store.subscriptions.delete([session.clientId, filter]);
    }
  }

  /** The QoS that can be granted, or why it can't be. */
  #answer({ principal, session }: Admitted, requested: RequestedFilter): number {
    const { limits, log } = this.#parts;
    const { filter } = requested;
    const fields = { client_id: principal.clientId, filter };
    const past = topicBoundPast(filter, limits);
    if (past !== null) {
      this.#parts.limitBook.met(past, { client_id: principal.clientId });
      return reasonCodes.topicFilterInvalid;
    }
    const decision = principal.grants.subscribe(unsharedOf(filter), requested.qos);
    if (!decision.isAllowed) {
      const { reason, rule } = decision;
      log.info({ ...fields, reason, rule }, 'subscription refused, not authorized');
      return reasonCodes.notAuthorized;
    }
    if (session.subscriptions.size >= limits.subscriptions && !session.subscriptions.has(filter)) {
      this.#parts.limitBook.met('subscriptions', fields);
      return reasonCodes.quotaExceeded;
    }
    return decision.qos;
  }
}

/** From here up reason codes are failures. */
const failure = 0x80;

/** [MQTT-3.3.1-9], [MQTT-3.3.1-10], [MQTT-3.3.1-11] */
function isRetainedDue({ retainHandling }: RequestedFilter, isNew: boolean): boolean {
  return retainHandling === 0 || (retainHandling === 1 && isNew);
}

/** The filter that a shared subscription shares; another is its own. */
function unsharedOf(filter: string): string {
  const share = parseShare(filter);
  return share === null || typeof share === 'string' ? filter : share.filter;
}
