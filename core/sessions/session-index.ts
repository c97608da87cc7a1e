/**
 * Every session of the fleet in memory: those that edges report and those of devices behind
 * gateways, one current session per client identifier. Feeds paging, watches and the edges' page.
 * Off the message path: sinks call it when facts change, never per publication.
 */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Metrics } from '../../base/metrics.ts';
import type { Edge } from '../../proto/gen/trunkline/v1/fleet.ts';
import { type Session, SessionState } from '../../proto/gen/trunkline/v1/session.ts';
import type { EdgeStats } from '../../proto/gen/trunkline/v1/trunk.ts';
import type { TrunkReport } from '../fleet/trunk-view.ts';
import { SessionHolder } from './session-holder.ts';
import type { EdgeHello, SessionSink } from './session-sink.ts';
import { SortedEntries } from './sorted-entries.ts';

/** Edges remembered, here or away. Past it the one that is away the longest is forgotten with its
 * sessions, so that names that come and go do not fill the memory. */
const holdersMax = 10_000;

export interface SessionChange {
  readonly kind: 'added' | 'changed' | 'removed';
  /** For `removed`: as it was last known. */
  readonly session: Session;
  /** For `changed`: what it was before. */
  readonly previous: Session | null;
}

/** A client identifier and the session that is current for it. */
export interface SessionEntry {
  readonly key: string;
  session: Session;
  /** Who reported it. */
  holder: SessionHolder;
}

export class SessionIndex implements SessionSink {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #holders = new Map<string, SessionHolder>();
  readonly #entries = new Map<string, SessionEntry>();
  readonly #sorted = new SortedEntries<SessionEntry>();
  /** Client identifiers that more than one holder reports, with all of those. */
  readonly #contested = new Map<string, Set<SessionHolder>>();
  readonly #listeners = new Set<(change: SessionChange) => void>();

  constructor(parts: { clock: Clock; log: Logger; metrics: Metrics }) {
    this.#clock = parts.clock;
    this.#log = parts.log;
    const { metrics } = parts;
    metrics.gauge(
      'trunkline_fleet_sessions',
      'Sessions listed, connected or kept.',
      () => this.size,
    );
    const byState = (name: string, state: string, count: (holder: SessionHolder) => boolean) =>
      metrics.gauge(name, 'Edges known to this core, by state.', () => this.#count(count), {
        state,
      });
    byState('trunkline_fleet_edges', 'connected', (holder) => holder.isEdge && holder.isConnected);
    byState('trunkline_fleet_edges', 'away', (holder) => holder.isEdge && !holder.isConnected);
  }

  /** Sessions in all. */
  get size(): number {
    return this.#entries.size;
  }

  get(clientId: string): Session | undefined {
    return this.#entries.get(clientId)?.session;
  }

  /** Entries in the order of client identifiers; see `SortedEntries.slice`. */
  slice(
    from: { readonly key: string; readonly isPast: boolean },
    countMax: number,
  ): readonly SessionEntry[] {
    return this.#sorted.slice(from, countMax);
  }

  /** All edges that were here, by their names. */
  edges(): Edge[] {
    const elapsed = this.#clock.elapsed();
    return [...this.#holders.values()]
      .filter((holder) => holder.isEdge)
      .map((holder) => holder.view(elapsed))
      .sort((a, b) => (a.edgeId < b.edgeId ? -1 : 1));
  }

  /** The trunks of all edges that were here, by their names. */
  trunkReports(): TrunkReport[] {
    const elapsed = this.#clock.elapsed();
    return [...this.#holders.values()]
      .filter((holder) => holder.isEdge)
      .map((holder) => holder.trunkReport(elapsed))
      .sort((a, b) => (a.edge.edgeId < b.edge.edgeId ? -1 : 1));
  }

  /** Edges that hold sessions here and do not report now. */
  silentEdges(): string[] {
    const silent = [...this.#holders.values()].filter((holder) => holder.isSilent);
    return silent.map((holder) => holder.id).sort();
  }

  /** Calls on every change, synchronously; the returned function ends it. */
  onChange(listener: (change: SessionChange) => void): () => void {
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
    const holder = this.#heard(edgeId);
    holder.unseen = new Set(holder.sessions.keys());
  }

  snapshotEnd(edgeId: string): void {
    const holder = this.#heard(edgeId);
    const gone = holder.unseen ?? [];
    holder.unseen = null;
    for (const clientId of gone) this.#remove(holder, clientId);
  }

  upsert(edgeId: string, sessions: readonly Session[]): void {
    const holder = this.#heard(edgeId);
    for (const session of sessions) this.#put(holder, labelled(session, holder));
  }

  remove(edgeId: string, clientIds: readonly string[]): void {
    const holder = this.#heard(edgeId);
    for (const clientId of clientIds) this.#remove(holder, clientId);
  }

  #heard(edgeId: string): SessionHolder {
    let holder = this.#holders.get(edgeId);
    if (holder === undefined) {
      if (this.#holders.size >= holdersMax) this.#forgetOne();
      holder = new SessionHolder(edgeId);
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
    this.#log.warn({ edge: oldest.id, sessions: oldest.sessions.size }, 'silent edge forgotten');
    for (const clientId of [...oldest.sessions.keys()]) this.#remove(oldest, clientId);
    this.#holders.delete(oldest.id);
  }

  #put(holder: SessionHolder, session: Session): void {
    holder.put(session);
    const entry = this.#entries.get(session.clientId);
    if (entry === undefined) {
      const added = { key: session.clientId, session, holder };
      this.#entries.set(session.clientId, added);
      this.#sorted.add(added);
      this.#tell({ kind: 'added', session, previous: null });
      return;
    }
    if (entry.holder !== holder) this.#contest(entry, holder);
    this.#elect(entry);
  }

  #remove(holder: SessionHolder, clientId: string): void {
    if (!holder.delete(clientId)) return;
    const entry = this.#entries.get(clientId);
    if (entry === undefined) return;
    const rivals = this.#contested.get(clientId);
    if (rivals === undefined) {
      this.#entries.delete(clientId);
      this.#sorted.delete(clientId);
      this.#tell({ kind: 'removed', session: entry.session, previous: null });
      return;
    }
    rivals.delete(holder);
    this.#elect(entry);
    if (rivals.size === 1) this.#contested.delete(clientId);
  }

  #contest(entry: SessionEntry, rival: SessionHolder): void {
    const rivals = this.#contested.get(entry.key) ?? new Set([entry.holder]);
    this.#contested.set(entry.key, rivals.add(rival));
  }

  /** Makes the most recently connected of all reported sessions the current one. */
  #elect(entry: SessionEntry): void {
    let best: SessionHolder | undefined;
    let session: Session | undefined;
    for (const holder of this.#contested.get(entry.key) ?? [entry.holder]) {
      const candidate = holder.sessions.get(entry.key);
      if (candidate !== undefined && (session === undefined || isMoreRecent(candidate, session))) {
        best = holder;
        session = candidate;
      }
    }
    if (best === undefined || session === undefined) return;
    const previous = entry.session;
    entry.holder = best;
    entry.session = session;
    if (this.#listeners.size === 0 || isSame(previous, session)) return;
    this.#tell({ kind: 'changed', session, previous });
  }

  #tell(change: SessionChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  #count(wanted: (holder: SessionHolder) => boolean): number {
    let count = 0;
    for (const holder of this.#holders.values()) if (wanted(holder)) count++;
    return count;
  }
}

/** An edge speaks for itself alone; the core's own sessions come labelled. */
function labelled(session: Session, holder: SessionHolder): Session {
  if (!holder.isEdge) return session;
  const region = session.region === '' ? holder.region : session.region;
  if (session.edgeId === holder.id && session.region === region) return session;
  return { ...session, edgeId: holder.id, region };
}

/** One that is connected now goes before one that is only kept, whatever the edges' clocks say. */
function isMoreRecent(a: Session, b: Session): boolean {
  const aConnected = a.state === SessionState.CONNECTED;
  const bConnected = b.state === SessionState.CONNECTED;
  if (aConnected !== bConnected) return aConnected;
  return a.connectedAtMs > b.connectedAtMs;
}

function isSame(a: Session, b: Session): boolean {
  if (a === b) return true;
  for (const key of Object.keys(a) as (keyof Session)[]) {
    if (key !== 'subscriptions' && a[key] !== b[key]) return false;
  }
  if (a.subscriptions.length !== b.subscriptions.length) return false;
  return a.subscriptions.every((subscription, index) => {
    const other = b.subscriptions[index];
    return subscription.filter === other?.filter && subscription.qos === other.qos;
  });
}
