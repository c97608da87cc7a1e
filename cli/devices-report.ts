/** What `trunkline devices simulate` found, as text and as a verdict. */
import type { Qos } from '../base/publication.ts';
import type { LedgerSummary } from '../devices/ledger-check.ts';

export interface SimulationReport extends LedgerSummary {
  readonly devices: number;
  readonly qos: Qos;
  readonly connectMs: number;
  /** How long the fleet published. */
  readonly seconds: number;
  /** Due and not sent, because every device waited for the broker. */
  readonly held: number;
}

/** Whether the broker broke a promise: one that was acknowledged is missing, or came twice at QoS 2. */
export function isBroken(report: SimulationReport): boolean {
  return report.lost > 0 || (report.qos === 2 && report.duplicates > 0);
}

/** One line of JSON, named as in the HTTP API. */
export function reportJson(report: SimulationReport): string {
  const { connectMs, latencyMs, ...rest } = report;
  const content = { ...rest, connect_ms: connectMs, latency_ms: latencyMs, ok: !isBroken(report) };
  return `${JSON.stringify(content)}\n`;
}

export function reportText(report: SimulationReport): string {
  const rows: [string, string][] = [
    ['devices', `${count(report.devices)} (connected in ${count(report.connectMs)} ms)`],
    ['sent', `${count(report.sent)} in ${report.seconds.toFixed(1)} s (${perSecond(report)})`],
    ['acked', report.qos === 0 ? 'not at QoS 0' : count(report.acked)],
    ['received', count(report.received)],
    ['lost', count(report.lost)],
    ['duplicates', count(report.duplicates)],
    ['reordered', count(report.reordered)],
  ];
  const unanswered = report.missing - report.lost;
  if (unanswered > 0)
    rows.push(['unanswered', `${count(unanswered)} (neither acked nor received)`]);
  if (report.held > 0)
    rows.push(['held', `${count(report.held)} (due, but the broker was behind)`]);
  const { p50, p90, p99, max } = report.latencyMs;
  const latencies = `p50 ${ms(p50)}, p90 ${ms(p90)}, p99 ${ms(p99)}, max ${ms(max)}`;
  rows.push(['latency', latencies], ['verdict', verdict(report)]);
  return `${rows.map(([name, text]) => `${name.padEnd(11)} ${text}`).join('\n')}\n`;
}

function verdict(report: SimulationReport): string {
  if (report.lost > 0) {
    const messages = report.lost === 1 ? 'message' : 'messages';
    return `FAILED: ${count(report.lost)} acknowledged ${messages} did not come back`;
  }
  if (isBroken(report)) return `FAILED: ${count(report.duplicates)} messages came twice at QoS 2`;
  if (report.qos > 0) return 'every acknowledged message came back';
  if (report.missing === 0) return 'every message came back';
  return `${count(report.missing)} messages did not come back, as QoS 0 allows`;
}

function count(value: number): string {
  return value.toLocaleString('en-US');
}

function perSecond({ sent, seconds }: SimulationReport): string {
  return `${count(Math.round(sent / Math.max(seconds, 0.001)))} a second`;
}

function ms(value: number): string {
  return `${value.toFixed(value < 10 ? 2 : 1)} ms`;
}
