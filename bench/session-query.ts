/**
 * How long a query of the fleet's sessions takes: a million of them, a thousand changes a second
 * going on, and a mix of pages, orders, groups and searches. The query and the changes share one
 * event loop, as they do in a core; how long others waited for it is shown, too.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { systemClock } from '../base/clock.ts';
import { createLog } from '../base/log.ts';
import { Metrics } from '../base/metrics.ts';
import { FleetEngine } from '../core/fleet/fleet-engine.ts';
import { SessionIndex } from '../core/sessions/session-index.ts';
import { FleetMaker } from './session-query/fleet-maker.ts';
import { type QueryKind, queryKinds } from './session-query/query-mix.ts';
import { positive } from './support/flags.ts';
import { table } from './support/table.ts';

const usage = `npm run bench:session-query -- [options]
  --sessions N   sessions in the index (default 1000000)
  --changes N    changes of sessions a second meanwhile (default 1000)
  --rounds N     queries of each kind (default 100)
  --only TEXT    only kinds whose name has this in it
  --json         figures as JSON`;

interface Figures {
  readonly kind: string;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  readonly matched: number;
  /** Of the process, for one query and what went on meanwhile. */
  readonly cpu: number;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      sessions: { type: 'string', default: '1000000' },
      changes: { type: 'string', default: '1000' },
      rounds: { type: 'string', default: '100' },
      only: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const sessions = positive('sessions', values.sessions);
  const changesPerSecond = positive('changes', values.changes);
  const rounds = positive('rounds', values.rounds);
  const log = createLog({ level: 'silent', format: 'json', tier: 'bench' });
  const parts = { clock: systemClock, log, metrics: new Metrics() };
  const before = memory();
  const index = new SessionIndex(parts);
  const maker = new FleetMaker(index, sessions);
  const fillMs = maker.fill();
  const after = memory();
  const fleet = new FleetEngine({ ...parts, index });
  const stop = maker.keepChanging(changesPerSecond);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const figures: Figures[] = [];
  for (const kind of queryKinds.filter(({ name }) => name.includes(values.only))) {
    figures.push(await measure(kind, fleet, { rounds, sessions }));
  }
  delay.disable();
  stop();
  const memories = {
    bytesPerSession: Math.round((after - before) / sessions),
    fillMicrosPerSession: round((fillMs * 1_000) / sessions),
    microsPerChange: round(maker.microsPerChange()),
    changes: maker.changes,
    loopDelayP99Ms: round(delay.percentile(99) / 1e6 - 1),
    loopDelayMaxMs: round(delay.max / 1e6 - 1),
  };
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ sessions, figures, ...memories })}\n`);
    return;
  }
  process.stdout.write(report(figures, memories));
}

async function measure(
  { name, run }: QueryKind,
  fleet: FleetEngine,
  { rounds, sessions }: { readonly rounds: number; readonly sessions: number },
): Promise<Figures> {
  const times: number[] = [];
  const cpu = process.cpuUsage();
  let matched = 0;
  for (let round = 0; round < rounds + 3; round++) {
    const { ms, total } = await run(fleet, { round, sessions });
    // The first few teach the compiler.
    if (round >= 3) times.push(ms);
    matched = total;
    // A query comes from outside: others have their turn in between.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { user, system } = process.cpuUsage(cpu);
  times.sort((a, b) => a - b);
  const at = (share: number) =>
    round(times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0);
  return {
    kind: name,
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
    matched,
    cpu: round((user + system) / 1_000 / (rounds + 3)),
  };
}

function report(figures: readonly Figures[], memories: Record<string, number>): string {
  const rows = figures.map(({ kind, matched, cpu, p50, p99, max }) => [
    kind,
    String(matched),
    ...[cpu, p50, p99, max].map((ms) => ms.toFixed(1)),
  ]);
  const worst = Math.max(...figures.map(({ p99 }) => p99));
  const lines = Object.entries(memories).map(([name, value]) => `${name}: ${value}`);
  const head = ['query', 'matched', 'CPU ms', 'p50 ms', 'p99 ms', 'max ms'];
  return `${table(head, rows)}\nworst p99: ${worst} ms\n${lines.join('\n')}\n`;
}

/** Heap and typed arrays, when nothing is left that could go. */
function memory(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

await main();
