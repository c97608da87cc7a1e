/**
 * Tells the session listener what changed: at once when a session connects, disconnects or
 * subscribes; in slow rounds, and only so many in a second, when it moved messages; and what
 * happened, with its reason.
 */
import type { Clock } from '../base/clock.ts';
import type { SessionEvent, Session as SessionFact } from '../proto/gen/trunkline/v1/session.ts';
import type { SessionListener } from './ports.ts';
import type { Session } from './session.ts';
import { whoEnded } from './who-ended.ts';

/** A session's figures are told at most this often. */
const roundMs = 2_000;
const turnMs = 200;

/** Of one turn: 500 sessions a second are told, which is 5 ms of work, and 10,000 are looked at, which
 * is as much. Of a larger edge the figures are as much older. */
const toldMax = 100;
const lookedAtMax = 2_000;

/** What is told as so much a second, too. */
type Rated = Pick<
  SessionFact,
  'receivedMessages' | 'deliveredMessages' | 'droppedMessages' | 'receivedBytes' | 'sentBytes'
>;

/** As a session was last told. */
interface Told {
  readonly at: number;
  readonly moved: number;
  readonly fact: Rated;
  /** A rate was told that is above 0. */
  readonly isMoving: boolean;
}

export type SessionEventKind = 'connected' | 'disconnected' | 'taken-over' | 'refused' | 'expired';

/** Who came, where it is not a session that knows. */
export interface Caller {
  readonly clientId: string;
  readonly username: string;
  readonly listener: string;
  readonly protocol: string;
  readonly remoteAddress: string;
}

export class SessionFeed {
  readonly #clock: Clock;
  readonly #sessions: Iterable<Session>;
  readonly #listener: SessionListener;
  readonly #told = new WeakMap<Session, Told>();
  #walk: Iterator<Session> | null = null;
  #walkBeganAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, sessions: Iterable<Session>, listener: SessionListener) {
    this.#clock = clock;
    this.#sessions = sessions;
    this.#listener = listener;
  }

  changed(session: Session): void {
    const before = this.#told.get(session);
    const at = this.#clock.elapsed();
    const fact = session.fact();
    const seconds = before === undefined ? 0 : (at - before.at) / 1_000;
    // Two changes at once tell nothing of a rate.
    if (before !== undefined && seconds * 1_000 >= turnMs) {
      const rate = (of: keyof Rated) => Math.max(0, fact[of] - before.fact[of]) / seconds;
      fact.receivedRate = rate('receivedMessages');
      fact.deliveredRate = rate('deliveredMessages');
      fact.droppedRate = rate('droppedMessages');
      fact.receivedByteRate = rate('receivedBytes');
      fact.sentByteRate = rate('sentBytes');
    }
    this.#told.set(session, {
      at,
      moved: movedBy(session),
      fact: ratedOf(fact),
      isMoving: fact.receivedRate + fact.deliveredRate + fact.droppedRate > 0,
    });
    this.#listener.sessionChanged(fact);
  }

  /** What happened to a session. */
  happened(session: Session, kind: SessionEventKind, reason: string): void {
    const { facts, connectedAt, disconnectedAt } = session;
    const isOver = kind === 'disconnected' || kind === 'taken-over';
    this.#tell(
      kind,
      { ...facts, clientId: session.clientId, username: session.identity.username },
      {
        reason,
        connectedMs: isOver && connectedAt > 0 ? Math.max(0, disconnectedAt - connectedAt) : 0,
      },
    );
  }

  /** A connection ended before it had a session. */
  refused(caller: Caller, reason: string): void {
    this.#tell('refused', caller, { reason, connectedMs: 0 });
  }

  /** Starts the rounds; the returned function stops them. */
  start(): () => void {
    return this.#clock.every(turnMs, () => this.#turn());
  }

  #turn(): void {
    const now = this.#clock.elapsed();
    if (this.#walk === null) {
      if (now - this.#walkBeganAt < roundMs) return;
      this.#walk = this.#sessions[Symbol.iterator]();
      this.#walkBeganAt = now;
    }
    let told = 0;
    for (let looked = 0; looked < lookedAtMax && told < toldMax; looked++) {
      const { value: session, done } = this.#walk.next();
      if (done === true) {
        this.#walk = null;
        return;
      }
      if (!this.#isDue(session, now)) continue;
      this.changed(session);
      told++;
    }
  }

  #isDue(session: Session, now: number): boolean {
    const told = this.#told.get(session);
    if (told === undefined) return true;
    // Rounds are as long as that, give or take a turn.
    if (now - told.at < roundMs - 2 * turnMs) return false;
    // Who has stopped is told once more, or its last rate would stand for ever.
    return told.isMoving || told.moved !== movedBy(session);
  }

  #tell(
    kind: SessionEventKind,
    { clientId, username, listener, protocol, remoteAddress }: Caller,
    { reason, connectedMs }: { readonly reason: string; readonly connectedMs: number },
  ): void {
    const event: SessionEvent = {
      atMs: this.#clock.now(),
      clientId,
      kind,
      reason,
      by: kind === 'connected' ? '' : whoEnded(reason),
      edgeId: '',
      gatewayId: '',
      listener,
      protocol,
      remoteAddress,
      username,
      connectedMs,
      region: '',
    };
    this.#listener.sessionEvent(event);
  }
}

function ratedOf(fact: Rated): Rated {
  const { receivedMessages, deliveredMessages, droppedMessages, receivedBytes, sentBytes } = fact;
  return { receivedMessages, deliveredMessages, droppedMessages, receivedBytes, sentBytes };
}

function movedBy(session: Session): number {
  const { outbox } = session;
  return (
    session.receivedCount +
    outbox.sums.deliveredCount +
    outbox.sums.droppedCount +
    outbox.queuedCount +
    outbox.inflightCount
  );
}
