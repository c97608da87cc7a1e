/**
 * Tells the session listener what changed: at once when a session connects, disconnects or
 * subscribes, and in a slow round for the counters of those that moved messages.
 */
import type { Clock } from '../base/clock.ts';
import type { SessionListener } from './ports.ts';
import type { Session } from './session.ts';

const roundMs = 2_000;

export class SessionFeed {
  readonly #clock: Clock;
  readonly #sessions: Iterable<Session>;
  readonly #listener: SessionListener;
  /** The counters that were last told, summed up. */
  readonly #told = new WeakMap<Session, number>();

  constructor(clock: Clock, sessions: Iterable<Session>, listener: SessionListener) {
    this.#clock = clock;
    this.#sessions = sessions;
    this.#listener = listener;
  }

  changed(session: Session): void {
    this.#told.set(session, movedBy(session));
    this.#listener.sessionChanged(session.fact());
  }

  /** Starts the rounds; the returned function stops them. */
  start(): () => void {
    return this.#clock.every(roundMs, () => {
      for (const session of this.#sessions) {
        if (this.#told.get(session) !== movedBy(session)) this.changed(session);
      }
    });
  }
}

function movedBy(session: Session): number {
  const { outbox } = session;
  return (
    session.receivedCount +
    outbox.deliveredCount +
    outbox.droppedCount +
    outbox.queuedCount +
    outbox.inflightCount
  );
}
