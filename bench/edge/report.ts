/** The tables: what the edge does for each thing that the better mosquitto does. */
import { markdownTable, table, thousands } from '../support/table.ts';
import {
  bestOf,
  type Figures,
  figuresOf,
  type HoldFigures,
  holdFiguresOf,
  type Measurement,
  roundsOf,
} from './figures.ts';
import { type Kind, type Scenario, type System, scenarios } from './scenarios.ts';

export interface Report {
  readonly machine: { readonly cpus: number; readonly model: string; readonly node: string };
  readonly settings: {
    readonly seconds: number;
    readonly rounds: number;
    readonly protocol: 4 | 5;
    /** Median time of an fdatasync where the edge has its data. */
    readonly syncMs: number;
  };
  /** What a reader must know before the figures. */
  readonly notes: readonly string[];
  readonly measurements: readonly Measurement[];
}

/** Above this, the rates of a broker that wants a whole core are someone else's doing, too. */
const disturbedCores = 0.3;
const busyCore = 0.95;

interface Pair<T> {
  readonly title: string;
  readonly edge: T;
  /** Undefined when mosquitto did not run. */
  readonly other: T | undefined;
}

export function textOf(report: Report, isMarkdown: boolean): string {
  const { machine, settings } = report;
  const { seconds, rounds, protocol, syncMs } = settings;
  const closed = pairsOf(report, 'closed', figures, bestOf);
  const paced = pairsOf(report, 'paced', figures, bestOf);
  const opened = pairsOf(report, 'connect', holdFigures, firstOf);
  const held = pairsOf(report, 'memory', holdFigures, firstOf);
  const shown = isMarkdown ? markdownTable : table;
  const tableOf = <T>(
    header: readonly string[],
    rows: readonly T[],
    cells: (row: T) => string[],
  ) => (rows.length === 0 ? [] : ['', shown(header, rows.map(cells))]);
  return [
    `${machine.cpus} × ${machine.model}, Node ${machine.node}, one fdatasync ${syncMs.toFixed(2)} ms;`,
    `MQTT ${protocol === 5 ? '5' : '3.1.1'}; medians of ${rounds} rounds of ${seconds} s.`,
    'M: mosquitto, each figure the better of both settings of set_tcp_nodelay. T: the edge.',
    'msg/s: deliveries. µs: CPU time of the broker for one of them. ×: how many times M.',
    'cores: what the broker, the load generator beside T, and others beside T took.',
    'At fixed rates: latency percentiles in µs.',
    ...[...report.notes, ...doubtsOf(closed, paced)].map((note) => `Note: ${note}`),
    ...tableOf(closedHeader, closed, closedCells),
    ...tableOf(pacedHeader, paced, pacedCells),
    ...tableOf(openedHeader, opened, openedCells),
    ...tableOf(heldHeader, held, heldCells),
  ].join('\n');
}

/** What makes a figure say less than it seems to. */
function* doubtsOf(
  closed: readonly Pair<Figures>[],
  paced: readonly Pair<Figures>[],
): Generator<string> {
  const all = [...closed, ...paced];
  const sides = all.flatMap(({ edge, other }) => (other === undefined ? [edge] : [edge, other]));
  const others = Math.max(0, ...sides.map(({ otherCores }) => otherCores));
  if (others > disturbedCores) {
    yield `other work took up to ${others.toFixed(2)} cores: trust µs and M/T, not msg/s and latency.`;
  }
  for (const { title, edge, other } of closed) {
    if (Math.max(edge.loadCores, other?.loadCores ?? 0) < busyCore) continue;
    yield `${title}: the load generator was as busy as its core allows.`;
  }
  for (const { title, other } of all) {
    if (other === undefined || other.lost + other.reordered === 0) continue;
    yield `${title}: mosquitto lost ${other.lost} and reordered ${other.reordered}.`;
  }
}

const closedHeader = [
  ...['', 'M msg/s', 'T msg/s', '×', 'M µs', 'T µs', 'M/T'],
  ...['M cores', 'T cores', 'load', 'others', 'lost', 'reordered'],
];

function closedCells({ title, edge, other }: Pair<Figures>): string[] {
  return [
    title,
    count(other?.perSecond),
    count(edge.perSecond),
    ratio(edge.perSecond, other?.perSecond),
    fixed(other?.cpu),
    fixed(edge.cpu),
    ratio(other?.cpu, edge.cpu),
    fixed(other?.brokerCores),
    fixed(edge.brokerCores),
    fixed(edge.loadCores),
    fixed(edge.otherCores),
    String(edge.lost),
    String(edge.reordered),
  ];
}

const pacedHeader = [
  ...['', 'M p50', 'T p50', 'M p99', 'T p99', 'M p99.9', 'T p99.9'],
  ...['M µs', 'T µs', 'M/T', 'M msg/s', 'T msg/s', 'lost', 'reordered'],
];

function pacedCells({ title, edge, other }: Pair<Figures>): string[] {
  return [
    title,
    count(other?.p50),
    count(edge.p50),
    count(other?.p99),
    count(edge.p99),
    count(other?.p999),
    count(edge.p999),
    fixed(other?.cpu),
    fixed(edge.cpu),
    ratio(other?.cpu, edge.cpu),
    count(other?.perSecond),
    count(edge.perSecond),
    String(edge.lost),
    String(edge.reordered),
  ];
}

const openedHeader = ['', 'M a second', 'T a second', '×', 'M µs', 'T µs', 'M/T'];

function openedCells({ title, edge, other }: Pair<HoldFigures>): string[] {
  return [
    title,
    count(other?.perSecond),
    count(edge.perSecond),
    ratio(edge.perSecond, other?.perSecond),
    fixed(other?.cpu),
    fixed(edge.cpu),
    ratio(other?.cpu, edge.cpu),
  ];
}

const heldHeader = ['', 'M KiB each', 'T KiB each', 'T/M'];

function heldCells({ title, edge, other }: Pair<HoldFigures>): string[] {
  const kibibytes = (one: HoldFigures | undefined) => fixed(one && one.bytes / 1024);
  return [title, kibibytes(other), kibibytes(edge), ratio(edge.bytes, other?.bytes)];
}

function pairsOf<T>(
  { measurements }: Report,
  kind: Kind,
  of: (rounds: readonly Measurement[]) => T,
  best: (all: readonly T[]) => T,
): Pair<T>[] {
  const ran = (scenario: Scenario, wanted: readonly System[]) =>
    wanted
      .map((system) => roundsOf(measurements, scenario, system))
      .filter((rounds) => rounds.length > 0);
  return scenarios
    .filter((scenario) => scenario.kind === kind)
    .flatMap((scenario) => {
      const others = ran(scenario, ['mosquitto', 'mosquitto-nodelay']).map(of);
      const other = others.length > 0 ? best(others) : undefined;
      return ran(scenario, ['trunkline', 'trunkline-memory']).map((rounds) => ({
        title: titleOf(scenario, rounds[0]?.system),
        edge: of(rounds),
        other,
      }));
    });
}

function titleOf({ title, qos }: Scenario, system: System | undefined): string {
  if (qos === 0) return title;
  return system === 'trunkline-memory' ? `${title}, in memory` : `${title}, durable`;
}

function figures(rounds: readonly Measurement[]): Figures {
  return figuresOf(rounds.flatMap(({ load }) => load ?? []));
}

function holdFigures(rounds: readonly Measurement[]): HoldFigures {
  return holdFiguresOf(rounds.flatMap(({ hold }) => hold ?? []));
}

/** Only one setting of mosquitto runs where bytes hardly flow. */
function firstOf(all: readonly HoldFigures[]): HoldFigures {
  return all[0] as HoldFigures;
}

function count(value: number | undefined): string {
  return value === undefined ? '-' : thousands(value);
}

function fixed(value: number | undefined): string {
  return value === undefined ? '-' : value.toFixed(2);
}

function ratio(over: number | undefined, under: number | undefined): string {
  return over === undefined || under === undefined ? '-' : (over / under).toFixed(2);
}
