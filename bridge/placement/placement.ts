/**
 * Which core an edge should have, by what is known of each: the nearest one that serves, one of the
 * edge's own region when round trips are alike. Alike cores that share a log are one to the messages:
 * of them the less loaded is taken, with some chance, so that edges which choose together do not all
 * choose the same. Alike cores with logs of their own do not exchange messages: of them that is taken
 * where most edges are, and the first of the list when none has more. Once chosen a core is left only
 * when it drains, or when another was clearly better in several probes one after the other.
 */
import { nearerMs, nearerProbes, nearerShare } from '../../base/limits.ts';

/** 'unknown': not measured yet. */
export type CoreState = 'unknown' | 'serving' | 'draining' | 'unreachable';

export interface CoreView {
  readonly address: string;
  /** Empty when unknown. */
  readonly region: string;
  /** Empty when unknown. Several addresses may lead to one core. */
  readonly coreId: string;
  readonly state: CoreState;
  /** Smoothed; 0 until measured. */
  readonly roundTripMs: number;
  /** Identity of its log; empty when unknown, which counts as one of its own. */
  readonly log: string;
  /** Edges attached to it; the measure of its load. */
  readonly edges: number;
}

export type MoveReason = 'nearer' | 'own-region' | 'more-edges' | 'draining';

/** One that was better in so many probes, up to the last. */
export interface Challenge {
  readonly address: string;
  readonly reason: MoveReason;
  readonly probes: number;
}

export type Verdict =
  | { readonly kind: 'stay'; readonly challenge: Challenge | null }
  | { readonly kind: 'move'; readonly address: string; readonly reason: MoveReason };

const stateOrder: readonly CoreState[] = ['serving', 'unknown', 'unreachable', 'draining'];

/** Clearly: by share and by time, so that neither small nor large round trips move an edge for noise. */
function isClearlyNearer(ms: number, thanMs: number): boolean {
  return ms < thanMs * (1 - nearerShare) && ms < thanMs - nearerMs;
}

/** All of them, the one to try first at the front. Those that seem not to serve come last: what a
 * probe says may be wrong. */
export function inOrderOfChoice(
  cores: readonly CoreView[],
  ownRegion: string,
  random: () => number,
): CoreView[] {
  const serving = cores.filter(({ state }) => state === 'serving');
  const nearestMs = Math.min(...serving.map(({ roundTripMs }) => roundTripMs));
  const logs = logsOf(cores);
  const rows = cores.map((core, index) => ({
    core,
    index,
    log: logs.get(logOf(core)) as Log,
    isAlike: core.state === 'serving' && !isClearlyNearer(nearestMs, core.roundTripMs),
    weight: (core.edges + 1) * (0.5 + random()),
  }));
  type Row = (typeof rows)[number];
  const compare = (a: Row, b: Row): number => {
    const byState = stateOrder.indexOf(a.core.state) - stateOrder.indexOf(b.core.state);
    if (byState !== 0) return byState;
    if (a.isAlike !== b.isAlike) return a.isAlike ? -1 : 1;
    const byRegion = regionOrder(a.core, ownRegion) - regionOrder(b.core, ownRegion);
    if (a.isAlike) return byRegion || logOrder(a.log, b.log) || a.weight - b.weight;
    return a.core.roundTripMs - b.core.roundTripMs || byRegion || a.index - b.index;
  };
  return rows.sort(compare).map(({ core }) => core);
}

/** After each probe, while a core is connected. `challenge`: of the verdict before. */
export function judge(
  cores: readonly CoreView[],
  now: {
    readonly ownRegion: string;
    readonly current: string;
    readonly challenge: Challenge | null;
  },
  random: () => number,
): Verdict {
  const current = cores.find(({ address }) => address === now.current);
  if (current === undefined) return { kind: 'stay', challenge: null };
  const others = cores.filter((core) => core.state === 'serving' && !isSameCore(core, current));
  if (current.state === 'draining') {
    const next = inOrderOfChoice(others, now.ownRegion, random)[0];
    if (next === undefined) return { kind: 'stay', challenge: null };
    return { kind: 'move', address: next.address, reason: 'draining' };
  }
  const better = bestOf(others, current, { ownRegion: now.ownRegion, logs: logsOf(cores) });
  // A probe that the present core missed measures nothing.
  if (better === null || current.state !== 'serving') return { kind: 'stay', challenge: null };
  const before = now.challenge?.address === better.address ? now.challenge.probes : 0;
  const challenge = { ...better, probes: before + 1 };
  if (challenge.probes < nearerProbes) return { kind: 'stay', challenge };
  return { kind: 'move', address: better.address, reason: better.reason };
}

function bestOf(
  others: readonly CoreView[],
  current: CoreView,
  { ownRegion, logs }: { readonly ownRegion: string; readonly logs: ReadonlyMap<string, Log> },
): { address: string; reason: MoveReason } | null {
  const byDistance = [...others].sort((a, b) => a.roundTripMs - b.roundTripMs);
  const isHome = (core: CoreView) => regionOrder(core, ownRegion) === 0;
  const nearest = byDistance[0];
  if (nearest === undefined) return null;
  const home = byDistance.find(isHome);
  if (isClearlyNearer(nearest.roundTripMs, current.roundTripMs)) {
    const isHomeAlike =
      home !== undefined && !isClearlyNearer(nearest.roundTripMs, home.roundTripMs);
    return { address: (isHomeAlike ? home : nearest).address, reason: 'nearer' };
  }
  // Stricter than alike: a core that was left for a nearer one is not gone back to at the same place.
  const limitMs = current.roundTripMs * (1 + nearerShare / 2) + nearerMs / 2;
  const alike = byDistance.filter(({ roundTripMs }) => {
    return roundTripMs <= limitMs && !isClearlyNearer(nearest.roundTripMs, roundTripMs);
  });
  const alikeHome = alike.find(isHome);
  if (alikeHome !== undefined && !isHome(current)) {
    return { address: alikeHome.address, reason: 'own-region' };
  }
  const here = logs.get(logOf(current)) as Log;
  const logAt = (core: CoreView) => logs.get(logOf(core)) as Log;
  const crowded = alike
    .filter((core) => isHome(core) === isHome(current) && logOrder(logAt(core), here) < 0)
    .sort((a, b) => logOrder(logAt(a), logAt(b)))[0];
  return crowded === undefined ? null : { address: crowded.address, reason: 'more-edges' };
}

/** A log, over the cores that serve with it. */
interface Log {
  /** Edges attached to it. */
  edges: number;
  /** Where the first of its cores stands in the list. */
  readonly index: number;
}

function logsOf(cores: readonly CoreView[]): ReadonlyMap<string, Log> {
  const logs = new Map<string, Log>();
  const counted = new Set<string>();
  for (const [index, core] of cores.entries()) {
    const log = logs.get(logOf(core)) ?? { edges: 0, index };
    logs.set(logOf(core), log);
    const name = core.coreId || core.address;
    if (core.state === 'serving' && !counted.has(name)) log.edges += core.edges;
    counted.add(name);
  }
  return logs;
}

function logOf({ log, address }: CoreView): string {
  return log === '' ? `of ${address}` : log;
}

/** Below 0 when `a` is the one to be at. */
function logOrder(a: Log, b: Log): number {
  return b.edges - a.edges || a.index - b.index;
}

function isSameCore(a: CoreView, b: CoreView): boolean {
  return a.address === b.address || (a.coreId !== '' && a.coreId === b.coreId);
}

function regionOrder({ region }: CoreView, ownRegion: string): number {
  return region !== '' && region === ownRegion ? 0 : 1;
}
