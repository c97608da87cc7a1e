/** The figures of all rounds, and the tables of their medians. */
import type { CompressionRow } from './compression.ts';
import type { Books, LatencyResult, ThroughputResult } from './jobs.ts';
import {
  latencyPublishers,
  payloadBytes,
  publishers,
  subscribers,
  unackedMax,
  unreceivedMax,
} from './jobs.ts';
import type { ReplayResult, ReplayTimes } from './replay.ts';
import { median, table, thousands } from './table.ts';

export interface Row<T> {
  readonly system: string;
  readonly load: string;
  readonly rounds: T[];
}

export interface Report {
  readonly machine: { readonly cpus: number; readonly model: string; readonly node: string };
  readonly settings: {
    readonly seconds: number;
    readonly rounds: number;
    readonly latencyPerSecond: number;
    readonly heldDevices: number;
  };
  readonly hasMosquitto: boolean;
  readonly throughput: readonly Row<ThroughputResult>[];
  readonly latency: readonly Row<LatencyResult>[];
  /** TCP connections of one edge to the core while it holds the devices, a round each. */
  readonly connections: readonly number[];
  readonly replays: readonly ReplayResult[];
  readonly compression: readonly CompressionRow[];
  /** Median time of an fdatasync in the folder for temporary files, a round each. */
  readonly syncMs: readonly number[];
}

/** One round's result on one line. */
export function settingsLine(result: ThroughputResult): string {
  const { perSecond, lost, reordered, repeated, cpuPerMillion } = result;
  const cpu = Object.entries(cpuPerMillion).map(([name, seconds]) => {
    return `${name} ${seconds.toFixed(1)}`;
  });
  const books = `${lost} lost, ${reordered} reordered, ${repeated} repeated`;
  return `${thousands(perSecond)} msg/s, ${books}, CPU s per million: ${cpu.join(', ')}`;
}

export function printReport(report: Report, isJson: boolean): void {
  const text = isJson ? JSON.stringify(report, null, 2) : textOf(report);
  process.stdout.write(`${text}\n`);
}

function textOf(report: Report): string {
  const { machine, settings } = report;
  const head = `${machine.cpus} × ${machine.model}, Node ${machine.node}; medians of ${settings.rounds} rounds.`;
  const hasRates = report.throughput.length > 0;
  return [
    [head],
    hasRates ? ratesText(report) : [],
    report.connections.length > 0 ? [connectionsText(report)] : [],
    report.replays.length > 0 ? replayText(report) : [],
    report.compression.length > 0 ? compressionText(report.compression) : [],
    hasRates && !report.hasMosquitto
      ? ['No mosquitto here: install it for rows to compare with.']
      : [],
  ]
    .filter((section) => section.length > 0)
    .map((section) => section.join('\n'))
    .join('\n\n');
}

function ratesText({ latency, settings, syncMs, throughput }: Report): string[] {
  const { seconds, latencyPerSecond } = settings;
  return [
    `Throughput: ${publishers} publishers, ${subscribers} subscribers, ${payloadBytes} B payloads,`,
    `${unreceivedMax} messages under way a publisher (QoS 1: ${unackedMax} unacknowledged), ${seconds} s a row.`,
    'edge A to load: CPU seconds for a million messages; load is the load generator itself.',
    'others: cores that other work on the machine took meanwhile.',
    `One fdatasync takes ${median(syncMs).toFixed(2)} ms here (mosquitto runs without any).`,
    '',
    table(
      ['', 'msg/s', 'lost', 'reordered', 'edge A', 'core', 'edge B', 'brokers', 'load', 'others'],
      throughput.map(rateCells),
    ),
    '',
    `Latency, device to device: ${latencyPerSecond} msg/s over ${latencyPublishers} publishers, ${2 * seconds} s a row, ms.`,
    '',
    table(['', 'p50', 'p99', 'p99.9', 'lost'], latency.map(latencyCells)),
  ];
}

function connectionsText({ connections, settings }: Report): string {
  const devices = thousands(settings.heldDevices);
  return `TCP connections to the core of an edge with ${devices} devices: ${[...new Set(connections)].join(', ')}`;
}

function replayText({ replays }: Report): string[] {
  const [first] = replays;
  const seconds = median(replays.map((replay) => replay.seconds)).toFixed(1);
  const isCovered = replays.every(({ leftAtEnd }) => leftAtEnd > 0);
  return [
    `Replay of ${thousands(first?.messages ?? 0)} messages of QoS 1 after an outage: ${seconds} s. Live latency before and meanwhile, ms.`,
    ...(isCovered ? [] : ['It ended before the times were taken: give more messages.']),
    '',
    table(
      ['', 'p50 before', 'p50 meanwhile', 'p99 before', 'p99 meanwhile', 'lost'],
      (first?.times ?? []).map(({ name }, i) =>
        replayCells(
          name,
          replays.map(({ times }) => times[i] as ReplayTimes),
        ),
      ),
    ),
  ];
}

function replayCells(name: string, rounds: readonly ReplayTimes[]): string[] {
  const shown = (when: 'before' | 'during', figure: 'p50' | 'p99') =>
    median(rounds.map((round) => round[when][figure])).toFixed(2);
  return [
    name,
    shown('before', 'p50'),
    shown('during', 'p50'),
    shown('before', 'p99'),
    shown('during', 'p99'),
    total(
      rounds.flatMap(({ before, during }) => [before, during]),
      'lost',
    ),
  ];
}

function compressionText(rows: readonly CompressionRow[]): string[] {
  return [
    'Batches of 500 JSON readings: bytes of a message on the wire, microseconds of one thread.',
    '',
    table(
      ['', 'bytes', 'encode', 'decode'],
      rows.map(({ name, bytes, encodeUs, decodeUs }) => [
        name,
        bytes.toFixed(1),
        encodeUs.toFixed(2),
        decodeUs.toFixed(2),
      ]),
    ),
  ];
}

function rateCells(row: Row<ThroughputResult>): string[] {
  const cpu = (name: string) => row.rounds.map((round) => round.cpuPerMillion[name] ?? Number.NaN);
  const brokers = row.rounds.map(({ cpuPerMillion: { a = 0, core = 0, b = 0 } }) => a + core + b);
  const shown = (values: readonly number[]) =>
    values.every(Number.isFinite) ? median(values).toFixed(1) : '-';
  return [
    `${row.system}, ${row.load}`,
    thousands(median(row.rounds.map((round) => round.perSecond))),
    total(row.rounds, 'lost'),
    total(row.rounds, 'reordered'),
    shown(cpu('a')),
    shown(cpu('core')),
    shown(cpu('b')),
    shown(brokers),
    shown(cpu('load')),
    median(row.rounds.map((round) => round.otherCores)).toFixed(2),
  ];
}

function latencyCells(row: Row<LatencyResult>): string[] {
  const shown = (name: 'p50' | 'p99' | 'p999') =>
    median(row.rounds.map((round) => round[name])).toFixed(2);
  return [
    `${row.system}, ${row.load}`,
    shown('p50'),
    shown('p99'),
    shown('p999'),
    total(row.rounds, 'lost'),
  ];
}

/** Over all rounds: one lost message must not hide behind a median. */
function total(rounds: readonly Books[], name: keyof Books): string {
  return String(rounds.reduce((sum, round) => sum + round[name], 0));
}
