/**
 * Retained messages on their way to new subscriptions, at each client's pace: what does not fit
 * waits here and not in its queue, and in steps, so that one client with a wide filter does not hold
 * up the others.
 *
 * What a kept session has not had when its connection goes follows on the next one. Its row says so
 * until it has acknowledged them all; after a start nobody knows which it has had, and all that
 * match come again.
 * Source: MQTT 5 section 3.3.1.3.
 */
import type { Logger } from '../base/log.ts';
import type { Publication, Qos } from '../base/publication.ts';
import type { Retained } from './routing/retained.ts';
import type { GrantedSubscription, Session } from './session.ts';

export interface RetainedReplaysParts {
  readonly log: Logger;
  readonly retained: Retained;
  /** A kept session has had all of them: its row need not say any more that they are on their way. */
  readonly onSettled: (session: Session, filter: string) => void;
}

interface Replay {
  /** The row of the subscription says that it is under way. */
  readonly isNoted: boolean;
  /** The core's retained messages for the filter have come, or nobody can tell. */
  readonly isCurrent: Promise<void>;
  /** Null before it has begun. */
  steps: AsyncIterator<readonly Publication[]> | null;
  step: readonly Publication[];
  at: number;
  isRunning: boolean;
  /** All are on their way. */
  isSent: boolean;
}

export class RetainedReplays {
  readonly #parts: RetainedReplaysParts;
  readonly #replays = new WeakMap<Session, Map<string, Replay>>();

  constructor(parts: RetainedReplaysParts) {
    this.#parts = parts;
  }

  /** To be sent once SUBACK is out. A failed fetch leaves what is known here, the best there is. */
  due(session: Session, filter: string, isCurrent: Promise<void>): void {
    const replays = this.#replays.get(session) ?? new Map<string, Replay>();
    this.#replays.set(session, replays);
    const { identity, subscriptions } = session;
    replays.set(filter, {
      isNoted: identity.isKept && (subscriptions.get(filter)?.qos ?? 0) > 0,
      isCurrent: isCurrent.catch(() => {}),
      steps: null,
      step: [],
      at: 0,
      isRunning: false,
      isSent: false,
    });
  }

  /** The subscription is no more. */
  cancel(session: Session, filter: string): void {
    this.#replays.get(session)?.delete(filter);
  }

  /** What the row of the subscription has to say. */
  isNoted(session: Session, filter: string): boolean {
    return this.#replays.get(session)?.get(filter)?.isNoted === true;
  }

  /** Sends what is due of these filters, one after the other, as far as the connection lasts. */
  send(session: Session, filters: readonly string[]): void {
    this.#sendAll(session, filters).catch((error: unknown) => {
      const fields = { err: error, client_id: session.clientId };
      this.#parts.log.error(fields, 'retained messages could not be sent');
    });
  }

  /** The session has a connection again: what it has not had of them follows. */
  resume(session: Session): void {
    const replays = this.#replays.get(session);
    if (replays !== undefined && replays.size > 0) this.send(session, [...replays.keys()]);
  }

  async #sendAll(session: Session, filters: readonly string[]): Promise<void> {
    for (const filter of filters) {
      const replay = this.#replays.get(session)?.get(filter);
      if (replay === undefined || replay.isRunning || replay.isSent) continue;
      replay.isRunning = true;
      try {
        await this.#send(session, filter, replay);
      } finally {
        replay.isRunning = false;
      }
    }
  }

  async #send(session: Session, filter: string, replay: Replay): Promise<void> {
    await replay.isCurrent;
    const { outbox } = session;
    for (;;) {
      const publication = await this.#next(filter, replay);
      while (outbox.isCrowded) await outbox.room();
      const granted = session.subscriptions.get(filter);
      if (granted === undefined || this.#replays.get(session)?.get(filter) !== replay) return;
      if (publication === null) {
        replay.isSent = true;
        this.#settleLater(session, filter, replay);
        return;
      }
      if (session.connection === null) return;
      replay.at++;
      this.#sendOne(session, granted, publication);
    }
  }

  /** The next that was not sent; null for no more. */
  async #next(filter: string, replay: Replay): Promise<Publication | null> {
    while (replay.at >= replay.step.length) {
      replay.steps ??= this.#parts.retained.walk(filter)[Symbol.asyncIterator]();
      const next = await replay.steps.next();
      if (next.done === true) return null;
      replay.step = next.value;
      replay.at = 0;
    }
    return replay.step[replay.at] as Publication;
  }

  #sendOne({ outbox }: Session, granted: GrantedSubscription, publication: Publication): void {
    // Replaced meanwhile: the newer one was delivered as it came.
    if (!this.#parts.retained.isCurrent(publication)) return;
    const qos = Math.min(granted.qos, publication.qos) as Qos;
    const identifiers = granted.identifier > 0 ? [granted.identifier] : [];
    outbox.deliver({ sequence: 0, qos, retain: true, publication, identifiers, owner: null });
  }

  #settleLater(session: Session, filter: string, replay: Replay): void {
    const settle = () => {
      const replays = this.#replays.get(session);
      if (replays?.get(filter) !== replay) return;
      replays.delete(filter);
      if (replay.isNoted && session.subscriptions.has(filter)) {
        this.#parts.onSettled(session, filter);
      }
    };
    if (replay.isNoted) void session.outbox.unloggedSettled().then(settle);
    else settle();
  }
}
