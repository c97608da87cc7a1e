/**
 * Rights that are taken back while they are in use. When rules change, every session is held against
 * them: subscriptions that they do not grant end, and what waits on topics that the client may not
 * have any more is dropped, and counted. What a client publishes is held against them from its next
 * packet on.
 *
 * A session that nobody has held since the start is looked at when its client is back: only then is
 * it known who that is, and until then nothing reaches it.
 */
import type { Clock } from '../base/clock.ts';
import type { Identity } from '../base/identity.ts';
import type { Logger } from '../base/log.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import type { Authorize, Principal } from './authorize.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';
import type { StateStore } from './store/state-store.ts';
import type { Subscriptions } from './subscriptions.ts';

/** Sessions in one turn of the event loop. */
const sliceSessions = 200;

export interface RevocationParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly authorize: Authorize;
  readonly sessions: Sessions;
  readonly subscriptions: Subscriptions;
  readonly store: StateStore;
}

export class Revocation {
  readonly #parts: RevocationParts;
  readonly #takenBack: Counter;
  /** Counts up with each change of rules: a round that a later one follows stops. */
  #round = 0;

  constructor(parts: RevocationParts) {
    this.#parts = parts;
    this.#takenBack = parts.metrics.counter(
      'trunkline_subscriptions_taken_back_total',
      'Subscriptions that ended because rules do not grant them any more.',
    );
  }

  /** Answers how to stop. */
  start(): () => void {
    const stop = this.#parts.authorize.onChanged(() => this.#changed());
    return () => {
      stop();
      this.#round++;
    };
  }

  /** The client of a session is back: the session may be of before the rules, or of before its client
   * was somebody else to them. To be called before anything is sent to it. */
  attached(session: Session, principal: Principal): void {
    session.principal = principal;
    if (!this.#parts.authorize.isOpen) this.#recheck(session, principal);
  }

  /** The client of the session is known to be somebody with other roles or labels. */
  become(session: Session, principal: Principal, identity: Identity): void {
    this.#parts.authorize.become(principal, identity);
    this.#recheck(session, principal);
  }

  #changed(): void {
    const round = ++this.#round;
    const sessions = [...this.#parts.sessions];
    // All at once, and cheap: nobody publishes by rules of before.
    for (const { principal } of sessions) {
      if (principal !== null) this.#parts.authorize.renew(principal);
    }
    let takenBack = 0;
    const next = (from: number): void => {
      if (round !== this.#round) return;
      for (const session of sessions.slice(from, from + sliceSessions)) {
        if (session.principal !== null) takenBack += this.#recheck(session, session.principal);
      }
      if (from + sliceSessions < sessions.length) {
        this.#parts.clock.after(0, () => next(from + sliceSessions));
        return;
      }
      this.#parts.log.info({ sessions: sessions.length, takenBack }, 'rights changed');
    };
    next(0);
  }

  #recheck(session: Session, principal: Principal): number {
    // It ended since the round began.
    if (this.#parts.sessions.get(session.clientId) !== session) return 0;
    const gone = this.#parts.subscriptions.recheck(session, principal).length;
    this.#takenBack.add(gone);
    session.outbox.restrict((topic) => principal.grants.receives(topic));
    if (gone > 0 && session.identity.isKept) {
      this.#parts.store.commit().catch((error: unknown) => {
        this.#parts.log.error({ err: error }, 'subscriptions taken back are not written down');
      });
    }
    return gone;
  }
}
