/** The trunk as people read it: a line for each edge, or one edge with its lanes. */
import type { CoreJson, LaneJson, TrunkJson } from '../core/http/trunk-json.ts';
import { type Column, printable, tableLines } from './text-table.ts';

const bold = '1';
const red = '31';
const grey = '90';

const columns: readonly Column<TrunkJson>[] = [
  { title: 'EDGE', of: (trunk) => printable(trunk.edge_id) },
  { title: 'STATE', of: stateOf },
  { title: 'BACKLOG', isNumber: true, of: (trunk) => count(trunk.backlog_messages) },
  { title: 'OLDEST', isNumber: true, of: (trunk) => age(trunk.oldest_unacked_ms) },
  { title: 'PROOF', isNumber: true, of: (trunk) => age(trunk.proof_age_ms) },
  { title: 'UP/S', isNumber: true, of: (trunk) => rate(trunk.up_rate) },
  { title: 'DOWN/S', isNumber: true, of: (trunk) => rate(trunk.down_rate) },
  { title: 'CREDIT', isNumber: true, of: (trunk) => bytes(trunk.credit_bytes) },
  { title: 'RTT', isNumber: true, of: (trunk) => roundTrip(trunk.round_trip_us) },
  { title: 'RULES', isNumber: true, of: (trunk) => String(trunk.rules_version) },
  { title: 'EMPTY IN', isNumber: true, of: (trunk) => age(trunk.empty_in_seconds * 1_000) },
];

const laneColumns: readonly Column<LaneJson>[] = [
  { title: 'LANE', isNumber: true, of: (lane) => String(lane.lane) },
  { title: 'PRIORITY', of: (lane) => lane.priority },
  { title: 'BACKLOG', isNumber: true, of: (lane) => count(lane.backlog_messages) },
  { title: 'OLDEST', isNumber: true, of: (lane) => age(lane.oldest_unacked_ms) },
  { title: 'PROOF', isNumber: true, of: (lane) => age(lane.proof_age_ms) },
  { title: 'CREDIT', isNumber: true, of: (lane) => bytes(lane.credit_bytes) },
  { title: 'UP', isNumber: true, of: (lane) => count(lane.uplinked_messages) },
  { title: 'DOWN', isNumber: true, of: (lane) => count(lane.downlinked_messages) },
];

const coreColumns: readonly Column<CoreJson>[] = [
  { title: 'KNOWN CORE', of: (core) => printable(core.address) },
  { title: 'ID', of: (core) => printable(core.core_id) || '-' },
  { title: 'REGION', of: (core) => printable(core.region) || '-' },
  { title: 'STATE', of: (core) => core.state },
  { title: 'RTT', isNumber: true, of: (core) => roundTrip(core.round_trip_us) },
  { title: 'EDGES', isNumber: true, of: (core) => count(core.edges) },
];

export class TrunkText {
  readonly #isColoured: boolean;

  constructor(options: { readonly isColoured: boolean }) {
    this.#isColoured = options.isColoured;
  }

  table(trunks: readonly TrunkJson[]): string {
    if (trunks.length === 0) return 'No edge has attached to this core yet.\n';
    const [titles = '', ...rows] = tableLines(columns, trunks);
    const lines = [this.#paint(bold, titles)];
    for (const [index, row] of rows.entries()) {
      const isSound = trunks[index]?.faults.length === 0;
      lines.push(isSound ? row : this.#paint(trunks[index]?.connected ? red : grey, row));
    }
    for (const trunk of trunks) lines.push(...faultLines(trunk));
    return `${lines.join('\n')}\n`;
  }

  /** One edge, with its lanes. */
  details(trunk: TrunkJson, now: number): string {
    const facts: [string, string][] = [
      ['edge', printable(trunk.edge_id)],
      ['region', printable(trunk.region) || '-'],
      ['state', stateOf(trunk)],
      ['core', printable(trunk.core_id)],
      ['connected for', trunk.connected ? age(now - trunk.connected_at_ms) : '-'],
      ['software', printable(trunk.software_version)],
      ['round trip', roundTrip(trunk.round_trip_us)],
      ['backlog', `${count(trunk.backlog_messages)}, empty in ${emptyIn(trunk)}`],
      ['oldest unacked', age(trunk.oldest_unacked_ms)],
      ['proof age', age(trunk.proof_age_ms)],
      ['up, down', `${rate(trunk.up_rate)}/s, ${rate(trunk.down_rate)}/s`],
      ['spool', bytes(trunk.spool_bytes)],
      ['rules', trunk.rules_version === 0 ? 'none' : `version ${trunk.rules_version}`],
    ];
    const width = Math.max(...facts.map(([name]) => name.length));
    const lines = facts.map(([name, text]) => `${this.#paint(bold, name.padEnd(width))}  ${text}`);
    const [titles = '', ...rows] = tableLines(laneColumns, trunk.lanes);
    if (rows.length > 0) lines.push('', this.#paint(bold, titles));
    for (const [index, row] of rows.entries()) {
      lines.push(trunk.lanes[index]?.proof_overdue ? this.#paint(red, row) : row);
    }
    if (trunk.cores.length > 1) {
      const [coreTitles = '', ...cores] = tableLines(coreColumns, trunk.cores);
      lines.push('', this.#paint(bold, coreTitles), ...cores);
    }
    for (const { name, connected, reason, backlog_messages: waiting } of trunk.foreign) {
      const state = connected ? 'connected' : `not connected: ${printable(reason)}`;
      lines.push(`foreign bridge ${printable(name)}: ${state}, backlog ${count(waiting)}`);
    }
    lines.push(...faultLines(trunk));
    return `${lines.join('\n')}\n`;
  }

  #paint(code: string, text: string): string {
    return this.#isColoured ? `\u001b[${code}m${text}\u001b[0m` : text;
  }
}

function faultLines({ edge_id: edgeId, faults }: TrunkJson): string[] {
  return faults.map((fault) => `${printable(edgeId)}: ${printable(fault)}`);
}

function stateOf({ connected, faults }: TrunkJson): string {
  if (!connected) return 'away';
  return faults.length === 0 ? 'healthy' : 'unhealthy';
}

function emptyIn({ backlog_messages: backlog, empty_in_seconds: seconds }: TrunkJson): string {
  if (backlog === 0) return '0 s';
  return seconds === 0 ? 'an unknown time' : age(seconds * 1_000);
}

function count(value: number): string {
  return String(Math.round(value));
}

function rate(value: number): string {
  return value >= 100 || value === 0 ? String(Math.round(value)) : value.toFixed(1);
}

/** In the largest unit that leaves a digit; `-` for none. */
function age(ms: number): string {
  if (ms <= 0) return '-';
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  if (ms < 100_000) return `${(ms / 1_000).toFixed(1)}s`;
  if (ms < 6_000_000) return `${Math.round(ms / 60_000)}m`;
  return `${Math.round(ms / 3_600_000)}h`;
}

function roundTrip(us: number): string {
  return us === 0 ? '-' : `${(us / 1_000).toFixed(1)}ms`;
}

function bytes(value: number): string {
  if (value < 1024) return `${value}B`;
  if (value < 1024 ** 2) return `${Math.round(value / 1024)}K`;
  if (value < 1024 ** 3) return `${(value / 1024 ** 2).toFixed(1)}M`;
  return `${(value / 1024 ** 3).toFixed(1)}G`;
}
