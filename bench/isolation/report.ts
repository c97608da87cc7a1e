/** The table: what others notice of a disturbance, at the edge and at mosquitto. */
import { isMosquitto } from '../edge/scenarios.ts';
import { markdownTable, table, thousands } from '../support/table.ts';
import { disturbances } from './disturbances.ts';
import { type Figures, figuresOf, type Measurement, type Qos } from './figures.ts';
import { systems } from './options.ts';

export interface Report {
  readonly machine: { readonly cpus: number; readonly model: string; readonly node: string };
  readonly settings: {
    readonly seconds: number;
    readonly rounds: number;
    /** Median time of an fdatasync where the edge has its data. */
    readonly syncMs: number;
  };
  /** What a reader must know before the figures. */
  readonly notes: readonly string[];
  readonly measurements: readonly Measurement[];
}

/** The bystanders' own lateness is in every latency: beyond this share of a p99 it is told. */
const latenessShare = 0.25;

/** Above this, latencies are someone else's doing, too. */
const disturbedCores = 0.2;

interface Row {
  readonly title: string;
  readonly unit: string;
  readonly system: string;
  readonly qos: Qos;
  readonly figures: Figures;
}

export function textOf(report: Report, isMarkdown: boolean): string {
  const { machine, settings } = report;
  const rows = [...rowsOf(report)];
  const shown = isMarkdown ? markdownTable : table;
  return [
    `${machine.cpus} × ${machine.model}, Node ${machine.node}, one fdatasync ${settings.syncMs.toFixed(2)} ms;`,
    `medians of ${settings.rounds} rounds of twice ${settings.seconds} s.`,
    'M: mosquitto. T: the edge. Latencies in µs, first without the disturbance, then during it.',
    '×: the p99 during it over the p99 without. did: what the disturbance got done in a second.',
    'cores: what the broker took without and during the disturbance, and what that took itself.',
    ...[...report.notes, ...doubtsOf(rows)].map((note) => `Note: ${note}`),
    '',
    shown(header, rows.map(cells)),
  ].join('\n');
}

const header = [
  ...['', '', 'p50', 'p99', 'p99.9', 'p50', 'p99', 'p99.9', '×', 'did', ''],
  ...['quiet', 'cores', 'its own', 'lost', 'reordered'],
];

function cells({ title, unit, system, qos, figures }: Row): string[] {
  const { quiet, disturbed } = figures;
  return [
    title,
    `${system}, QoS ${qos === 'qos0' ? 0 : 1}`,
    ...[quiet.p50, quiet.p99, quiet.p999].map(latency),
    ...[disturbed.p50, disturbed.p99, disturbed.p999].map(latency),
    disturbed.p99 === 0 ? '–' : (disturbed.p99 / quiet.p99).toFixed(2),
    thousands(figures.rate),
    unit,
    figures.quietCores.toFixed(2),
    figures.brokerCores.toFixed(2),
    figures.disturbanceCores.toFixed(2),
    String(figures.lost),
    String(figures.reordered),
  ];
}

/** 0 is of no messages at all. */
function latency(microseconds: number): string {
  return microseconds === 0 ? '–' : thousands(microseconds);
}

function* rowsOf({ measurements }: Report): Generator<Row> {
  for (const { name, title, unit } of disturbances) {
    for (const qos of ['qos0', 'qos1'] as const) {
      for (const system of systems) {
        const rounds = measurements.filter(
          (one) => one.disturbance === name && one.system === system,
        );
        if (rounds.length === 0) continue;
        const figures = figuresOf(rounds, qos);
        yield { title, unit, qos, system: isMosquitto(system) ? 'M' : 'T', figures };
      }
    }
  }
}

/** What makes a figure say less than it seems to. */
function* doubtsOf(rows: readonly Row[]): Generator<string> {
  const others = Math.max(0, ...rows.map(({ figures }) => figures.otherCores));
  if (others > disturbedCores) {
    yield `other work took up to ${others.toFixed(2)} cores: part of all latencies is waiting for it.`;
  }
  for (const { title, system, qos, figures } of rows) {
    const { lateness, quiet } = figures;
    // Both rows have the same.
    if (qos !== 'qos0' || lateness < latenessShare * quiet.p99) continue;
    yield `${title}, ${system}: the measuring side itself was late by ${thousands(lateness)} µs (p99).`;
  }
}
