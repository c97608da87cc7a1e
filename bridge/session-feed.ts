/**
 * Tells the core of the edge's sessions: all of them when a link comes up, then changes, several
 * of one session joined into the last; and the edge's totals every second.
 */
import type { Clock } from '../base/clock.ts';
import type { Session } from '../proto/gen/trunkline/v1/session.ts';
import type { EdgeStats, SessionFacts } from '../proto/gen/trunkline/v1/trunk.ts';

const deltasMs = 200;
const statsMs = 1_000;

/** Sessions of one message. */
const chunkSessions = 500;

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
  #outlet: SessionFeedOutlet | null = null;
  #sequence = 0;
  #isSnapshotSent = false;
  #stopTimers: () => void = () => {};

  constructor(clock: Clock, source: SessionFeedSource) {
    this.#clock = clock;
    this.#source = source;
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
    if (changed.length + removed.length > 0) outlet.facts(this.#facts({ changed, removed }));
  }

  #facts(facts: Partial<SessionFacts>): SessionFacts {
    const empty = { snapshotBegin: false, snapshotEnd: false, changed: [], removed: [] };
    return { ...empty, ...facts, sequence: ++this.#sequence };
  }
}
