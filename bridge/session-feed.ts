/**
 * Tells the core of the edge's sessions: all of them when a link comes up, then changes, several
 * of one session joined into the last; and the edge's totals every second.
 */
import type { Clock } from '../base/clock.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import type { Session, SessionEvent } from '../proto/gen/trunkline/v1/session.ts';
import type { EdgeStats, SessionFacts } from '../proto/gen/trunkline/v1/trunk.ts';

const deltasMs = 200;
const statsMs = 1_000;

/** Sessions of one message, and events. */
const chunkSessions = 500;

/** Events that wait for a core, and for their turn: the last minutes of an edge whose devices come
 * and go. 2,500 a second are told. */
const eventsMax = 20_000;

export interface SessionFeedSource {
  sessions(): Iterable<Session>;
  stats(): EdgeStats;
}

export interface SessionFeedOutlet {
  facts(facts: SessionFacts): void;
  stats(stats: EdgeStats): void;
  /** Resolves when the stream can take more. */
  drained(): Promise<void>;
}

export class SessionFeed {
  readonly #clock: Clock;
  readonly #source: SessionFeedSource;
  readonly #changes = new Map<string, Session | null>();
  readonly #eventsDropped: Counter;
  #events: SessionEvent[] = [];
  #outlet: SessionFeedOutlet | null = null;
  #sequence = 0;
  #isSnapshotSent = false;
  #stopTimers: () => void = () => {};

  constructor(parts: { clock: Clock; metrics: Metrics }, source: SessionFeedSource) {
    this.#clock = parts.clock;
    this.#source = source;
    this.#eventsDropped = parts.metrics.counter(
      'trunkline_session_events_dropped_total',
      'Events of sessions that no core was told of: too many waited.',
    );
  }

  /** Resolves when the snapshot is sent, or the link is gone. */
  async attach(outlet: SessionFeedOutlet): Promise<void> {
    this.#outlet = outlet;
    this.#sequence = 0;
    this.#isSnapshotSent = false;
    this.#changes.clear();
    const stopDeltas = this.#clock.every(deltasMs, () => this.#sendChanges());
    const stopStats = this.#clock.every(statsMs, () => outlet.stats(this.#source.stats()));
    this.#stopTimers = () => {
      stopDeltas();
      stopStats();
    };
    outlet.stats(this.#source.stats());
    await this.#sendSnapshot(outlet);
  }

  detach(): void {
    this.#outlet = null;
    this.#stopTimers();
    this.#changes.clear();
  }

  changed(session: Session): void {
    if (this.#outlet !== null) this.#changes.set(session.clientId, session);
  }

  removed(clientId: string): void {
    if (this.#outlet !== null) this.#changes.set(clientId, null);
  }

  /** Kept while there is no core, as far as there is room. */
  happened(event: SessionEvent): void {
    if (this.#events.length < eventsMax) this.#events.push(event);
    else this.#eventsDropped.add();
  }

  async #sendSnapshot(outlet: SessionFeedOutlet): Promise<void> {
    let chunk: Session[] = [];
    let isFirst = true;
    for (const session of this.#source.sessions()) {
      chunk.push(session);
      if (chunk.length < chunkSessions) continue;
      outlet.facts(this.#facts({ snapshotBegin: isFirst, changed: chunk }));
      isFirst = false;
      chunk = [];
      await outlet.drained();
      if (this.#outlet !== outlet) return;
    }
    outlet.facts(this.#facts({ snapshotBegin: isFirst, snapshotEnd: true, changed: chunk }));
    this.#isSnapshotSent = true;
  }

  /** After the snapshot: a change is newer than what the snapshot said of the session. */
  #sendChanges(): void {
    const outlet = this.#outlet;
    if (outlet === null || !this.#isSnapshotSent) return;
    let changed: Session[] = [];
    let removed: string[] = [];
    for (const [clientId, session] of this.#changes) {
      if (session === null) removed.push(clientId);
      else changed.push(session);
      if (changed.length + removed.length < chunkSessions) continue;
      outlet.facts(this.#facts({ changed, removed }));
      changed = [];
      removed = [];
    }
    this.#changes.clear();
    const events = this.#events.splice(0, chunkSessions);
    const count = changed.length + removed.length + events.length;
    if (count > 0) outlet.facts(this.#facts({ changed, removed, events }));
  }

  #facts(facts: Partial<SessionFacts>): SessionFacts {
    const empty = {
      snapshotBegin: false,
      snapshotEnd: false,
      changed: [],
      removed: [],
      events: [],
    };
    return { ...empty, ...facts, sequence: ++this.#sequence };
  }
}
