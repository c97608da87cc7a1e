/** What operators see of one edge's trunk, and why it is not healthy. */
import type { Edge, Trunk } from '../../proto/gen/trunkline/v1/fleet.ts';
import type { EdgeStats } from '../../proto/gen/trunkline/v1/trunk.ts';

/** An attached edge reports every second. */
const overdueMs = 10_000;

/** As an edge reported it. */
export interface TrunkReport {
  readonly edge: Edge;
  readonly stats: EdgeStats | null;
  readonly upRate: number;
  readonly downRate: number;
}

export function trunkView(
  { edge, stats, upRate, downRate }: TrunkReport,
  at: { readonly coreId: string; readonly now: number },
): Trunk {
  const lanes = stats?.lanes ?? [];
  return {
    edgeId: edge.edgeId,
    region: edge.region,
    connected: edge.connected,
    coreId: at.coreId,
    connectedAtMs: edge.connectedAtMs,
    lastHeardAtMs: edge.lastHeardAtMs,
    softwareVersion: edge.softwareVersion,
    roundTripUs: edge.roundTripUs,
    backlogMessages: edge.backlogMessages,
    oldestUnackedMs: highest(lanes.map((lane) => lane.oldestUnackedMs)),
    proofAgeMs: highest(lanes.map((lane) => lane.proofAgeMs)),
    uplinkedMessages: edge.uplinkedMessages,
    downlinkedMessages: edge.downlinkedMessages,
    upRate,
    downRate,
    creditBytes: lanes.reduce((sum, lane) => sum + lane.creditBytes, 0),
    spoolBytes: edge.spoolBytes,
    rulesVersion: stats?.rulesVersion ?? 0,
    emptyInSeconds: stats?.emptyInSeconds ?? 0,
    lanes,
    foreign: stats?.foreign ?? [],
    cores: stats?.cores ?? [],
    faults: faultsOf(edge, stats, at.now),
  };
}

function faultsOf(edge: Edge, stats: EdgeStats | null, now: number): string[] {
  if (!edge.connected) return ['not attached to this core'];
  const faults: string[] = [];
  const silentMs = now - edge.lastHeardAtMs;
  if (silentMs > overdueMs) faults.push(`reported last ${Math.round(silentMs / 1_000)} s ago`);
  const unproven = (stats?.lanes ?? []).filter((lane) => lane.proofOverdue);
  if (unproven.length > 0) {
    const names = unproven.map(({ lane }) => lane).join(', ');
    const word = unproven.length === 1 ? 'lane' : 'lanes';
    faults.push(`no canary came back for too long on ${word} ${names}`);
  }
  for (const { name, connected, reason } of stats?.foreign ?? []) {
    if (!connected)
      faults.push(`foreign bridge ${name} is not connected: ${reason || 'no reason'}`);
  }
  return faults;
}

function highest(values: readonly number[]): number {
  return values.reduce((max, value) => Math.max(max, value), 0);
}
