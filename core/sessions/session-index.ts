/**
 * Every session of the fleet in memory: those that edges report and those of devices behind
 * gateways, one current session per client identifier. Feeds queries, watches and the edges' page.
 * Off the message path: sinks call it when facts change, never per publication.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Counter, Metrics } from '../../base/metrics.ts';
import type { Edge } from '../../proto/gen/trunkline/v1/fleet.ts';
import type { Session, SessionEvent } from '../../proto/gen/trunkline/v1/session.ts';
import type { EdgeStats } from '../../proto/gen/trunkline/v1/trunk.ts';
import type { TrunkReport } from '../fleet/trunk-view.ts';
import { SortedRows } from './columns/sorted-rows.ts';
import { Departures } from './departures.ts';
import { openFleetMetrics } from './fleet-metrics.ts';
import { heldRows } from './held-rows.ts';
import { type CoreStanding, SessionHolder } from './session-holder.ts';
import { SessionRivals } from './session-rivals.ts';
import type { EdgeHello, SessionSink } from './session-sink.ts';
import { SessionTable } from './session-table.ts';

/** Edges remembered, here or away. Past it the one that is away the longest is forgotten with its
 * sessions, so that names that come and go do not fill the memory. */
const holdersMax = 10_000;

/** Hears of changes, synchronously. */
export interface IndexListener {
  /** The session in this row is about to become another. */
  changing(row: number): void;
  /** What is in the row now; for `removed`, for the last time. */
  changed(kind: ChangeKind, row: number): void;
}

export type ChangeKind = 'added' | 'changed' | 'removed';

export interface SessionIndexParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Told of what happened to sessions; nobody when it is left out. */
  readonly onEvents?: (events: readonly SessionEvent[]) => void;
}

export class SessionIndex implements SessionSink {
  readonly table = new SessionTable();
  /** The current rows by client identifier. */
  readonly sorted = new SortedRows((row) => this.table.clientId(row));
  /** Sequences mean something within it. */
  readonly epoch = randomBytes(6).toString('hex');
  readonly departures = new Departures();
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #onEvents: (events: readonly SessionEvent[]) => void;
  readonly #holders = new Map<string, SessionHolder>();
  #holdersMade = 0;
  #snapshots = 0;
  #sequence = 0;
  readonly #changes: Counter;
  /** The current row by the code of its client identifier. */
  readonly #rows: number[] = [];
  readonly #rivals = new SessionRivals(this.table);
  readonly #listeners = new Set<IndexListener>();

  constructor(parts: SessionIndexParts) {
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#onEvents = parts.onEvents ?? (() => {});
    this.#changes = openFleetMetrics(parts.metrics, {
      sessions: () => this.size,
      edges: (isConnected) =>
        this.#held((one) => one.isEdge && one.isConnected === isConnected).length,
    });
  }

  /** Sessions in all. */
  get size(): number {
    return this.sorted.size;
  }

  /** Of the last change. */
  get sequence(): number {
    return this.#sequence;
  }

  /** The current row of a client identifier; -1 for none. */
  rowOf(clientId: string): number {
    const code = this.table.clients.pool.find(clientId);
    return code < 0 ? -1 : (this.#rows[code] ?? -1);
  }

  get(clientId: string): Session | undefined {
    const row = this.rowOf(clientId);
    return row < 0 ? undefined : this.table.read(row);
  }

  /** All edges that were here, by their names. */
  edges(): Edge[] {
    const elapsed = this.#clock.elapsed();
    return this.#held(({ isEdge }) => isEdge).map((holder) => holder.view(elapsed));
  }

  /** The trunks of all edges that were here, by their names. */
  trunkReports(): TrunkReport[] {
    const elapsed = this.#clock.elapsed();
    return this.#held(({ isEdge }) => isEdge).map((holder) => holder.trunkReport(elapsed));
  }

  /** Edges that hold sessions here and do not report now. */
  silentEdges(): string[] {
    return this.#held((holder) => holder.isSilent)
      .map(({ id }) => id)
      .sort();
  }

  /** Of another core, by the name of its gateways' holder. */
  coreStands(holderId: string, standing: CoreStanding): void {
    this.#heard(holderId).standing = standing;
  }

  /** What its rows carry in the table; 0 for one who never held any. */
  holderNumber(holderId: string): number {
    return this.#holders.get(holderId)?.number ?? 0;
  }

  /** The returned function ends it. */
  onChange(listener: IndexListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  edgeAttached(hello: EdgeHello): void {
    this.#heard(hello.edgeId).attach(hello, this.#clock.now());
  }

  edgeDetached(edgeId: string): void {
    this.#holders.get(edgeId)?.detach();
  }

  edgeStats(edgeId: string, stats: EdgeStats): void {
    this.#heard(edgeId).report(stats, this.#clock.elapsed());
  }

  edgeInterest(edgeId: string, filterCount: number): void {
    this.#heard(edgeId).interestCount = filterCount;
  }

  snapshotBegin(edgeId: string): void {
    this.#heard(edgeId).snapshot = ++this.#snapshots;
  }

  snapshotEnd(edgeId: string): void {
    const holder = this.#heard(edgeId);
    const { snapshot } = holder;
    holder.snapshot = 0;
    if (snapshot === 0) return;
    for (const row of this.#rowsOf(holder)) {
      if (this.table.seen.get(row) !== snapshot) this.#remove(holder, this.table.clientId(row));
    }
  }

  upsert(edgeId: string, sessions: readonly Session[]): void {
    const holder = this.#heard(edgeId);
    for (const session of sessions) this.#put(holder, holder.labelled(session));
  }

  remove(edgeId: string, clientIds: readonly string[]): void {
    const holder = this.#heard(edgeId);
    for (const clientId of clientIds) this.#remove(holder, clientId);
  }

  happened(edgeId: string, events: readonly SessionEvent[]): void {
    const { isEdge, id, region } = this.#heard(edgeId);
    this.#onEvents(isEdge ? events.map((event) => ({ ...event, edgeId: id, region })) : events);
  }

  #heard(edgeId: string): SessionHolder {
    let holder = this.#holders.get(edgeId);
    if (holder === undefined) {
      if (this.#holders.size >= holdersMax) this.#forgetOne();
      holder = new SessionHolder(edgeId, ++this.#holdersMade);
      this.#holders.set(edgeId, holder);
    }
    holder.lastHeardAtMs = this.#clock.now();
    return holder;
  }

  #forgetOne(): void {
    let oldest: SessionHolder | undefined;
    for (const holder of this.#holders.values()) {
      const isAway = holder.isEdge && !holder.isConnected;
      if (isAway && holder.lastHeardAtMs < (oldest?.lastHeardAtMs ?? Number.POSITIVE_INFINITY)) {
        oldest = holder;
      }
    }
    if (oldest === undefined) return;
    this.#log.warn({ edge: oldest.id, sessions: oldest.sessionCount }, 'silent edge forgotten');
    for (const row of this.#rowsOf(oldest)) this.#remove(oldest, this.table.clientId(row));
    this.#holders.delete(oldest.id);
  }

  #held(wanted: (holder: SessionHolder) => boolean): SessionHolder[] {
    return [...this.#holders.values()].filter(wanted).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  #rowsOf({ number, sessionCount }: SessionHolder): number[] {
    return sessionCount === 0 ? [] : heldRows(this.table, number);
  }

  #put(holder: SessionHolder, session: Session): void {
    const current = this.rowOf(session.clientId);
    const own = current < 0 ? -1 : this.#rivals.rowOf(current, holder);
    if (own < 0) this.#add(holder, session, current);
    else this.#write(holder, session, own);
  }

  #add(holder: SessionHolder, session: Session, current: number): void {
    const { table } = this;
    const row = table.add(session, holder.number);
    table.noteUpdated(row, this.#clock.now());
    table.seen.set(row, holder.snapshot);
    holder.sessionCount++;
    if (table.isConnected(row)) holder.connectedSessions++;
    if (current >= 0) {
      this.#rivals.add(session.clientId, { current, rival: row });
      this.#elect(session.clientId, current);
      return;
    }
    this.#enter(row);
    this.#tell('added', row);
  }

  #write(holder: SessionHolder, session: Session, row: number): void {
    const { table } = this;
    table.seen.set(row, holder.snapshot);
    const now = this.#clock.now();
    if (table.differs(row, session)) {
      const isLive = table.live.get(row) === 1;
      if (isLive) for (const listener of this.#listeners) listener.changing(row);
      if (table.isConnected(row)) holder.connectedSessions--;
      table.write(row, session);
      if (table.isConnected(row)) holder.connectedSessions++;
      table.noteUpdated(row, now);
      if (isLive) this.#tell('changed', row);
      this.#elect(session.clientId, this.rowOf(session.clientId));
    }
    table.noteUpdated(row, now);
  }

  #remove(holder: SessionHolder, clientId: string): void {
    const current = this.rowOf(clientId);
    const own = current < 0 ? -1 : this.#rivals.rowOf(current, holder);
    if (own < 0) return;
    if (this.#rivals.isContested(clientId)) {
      this.#rivals.delete(clientId, own);
      this.#elect(clientId, current);
      this.#rivals.settle(clientId);
    } else {
      this.#tell('removed', own);
      this.departures.add(clientId, this.#sequence);
      this.#leave(own);
    }
    holder.sessionCount--;
    if (this.table.isConnected(own)) holder.connectedSessions--;
    this.table.delete(own);
  }

  /** Makes the most recently connected of all reported sessions the current one. */
  #elect(clientId: string, current: number): void {
    const best = this.#rivals.best(clientId, current);
    if (best === current || best < 0) return;
    for (const listener of this.#listeners) listener.changing(current);
    this.#leave(current);
    this.#enter(best);
    this.#tell('changed', best);
  }

  #enter(row: number): void {
    const { table } = this;
    this.#rows[table.clients.code(row)] = row;
    table.live.set(row, 1);
    this.sorted.add(row);
  }

  #leave(row: number): void {
    const { table } = this;
    this.sorted.delete(row);
    table.live.set(row, 0);
    this.#rows[table.clients.code(row)] = -1;
  }

  #tell(kind: ChangeKind, row: number): void {
    this.table.changedAt.set(row, ++this.#sequence);
    this.#changes.add();
    for (const listener of this.#listeners) listener.changed(kind, row);
  }
}
