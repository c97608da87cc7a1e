/**
 * What the trunk carries: device, edge, core, edge, device, each tier a process of its own on this
 * machine. Rates without loss, time under way, connections upstream, and the same loads through two
 * mosquitto brokers joined by a bridge. docs/benchmarks.md tells how to read it.
 */
import { mkdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type CompressionRow, measureCompression } from './support/compression.ts';
import { medianSyncMs } from './support/disk.ts';
import type { LatencyResult, ThroughputResult } from './support/jobs.ts';
import { LoadProcess } from './support/load-process.ts';
import { findMosquitto, openMosquitto } from './support/mosquitto-path.ts';
import { connectionsTo } from './support/process-stat.ts';
import { hotSpots } from './support/profile.ts';
import { measureReplay, type ReplayResult } from './support/replay.ts';
import { printReport, type Report, type Row, settingsLine } from './support/report.ts';
import { openTrunkline, type RunningPath, type TrunklinePath } from './support/trunkline-path.ts';

const help = `Usage: npm run bench:trunk -- [flags]

Measures a core and two edges as processes on this machine, and two mosquitto brokers joined by a
bridge when mosquitto is installed. Each round starts everything anew; medians are printed.

  --seconds N    Time that each throughput row is measured; latency rows take twice as long [5]
  --rounds N     Rounds [3]
  --devices N    Devices of the edge whose connections are counted [1000]
  --replay N     Messages of the outage whose replay is measured; 0 leaves it out [200000]
  --replay-rate N
                 edge.replay_rate of the edges [their default]
  --only PART    Nothing but: rates, replay, compression or connections
  --row ROW      Of the throughput rows nothing but: qos0, qos1 or kept; no latency rows
  --json         Figures of all rounds as JSON instead of tables
  --profile DIR  Instead of all that: one throughput row once (kept, or that of --row), with CPU
                 profiles of the three processes in DIR, and the functions with the most time of
                 their own
  -h, --help     This text
`;

const warmUpMs = 2_000;
const latencyPerSecond = 500;
const hotSpotsShown = 15;

interface Load {
  readonly name: string;
  readonly qos: 0 | 1;
  readonly keepsSession: boolean;
}

const qos0: Load = { name: 'QoS 0', qos: 0, keepsSession: false };
const qos1: Load = { name: 'QoS 1', qos: 1, keepsSession: false };
const qos1Kept: Load = { name: 'QoS 1, kept sessions', qos: 1, keepsSession: true };
const rowsByName = new Map([
  ['qos0', qos0],
  ['qos1', qos1],
  ['kept', qos1Kept],
]);

const parts = ['rates', 'replay', 'compression', 'connections'] as const;
type Part = (typeof parts)[number];

interface Options {
  readonly seconds: number;
  readonly rounds: number;
  readonly devices: number;
  readonly replay: number;
  readonly replayRate: string | undefined;
  readonly only: Part | undefined;
  readonly row: Load | undefined;
  readonly isJson: boolean;
  readonly profiles: string | undefined;
}

class TrunkBench {
  readonly #options: Options;
  readonly #load = new LoadProcess();
  readonly #throughput = new Map<string, Row<ThroughputResult>>();
  readonly #latency = new Map<string, Row<LatencyResult>>();
  readonly #connections: number[] = [];
  readonly #replays: ReplayResult[] = [];
  #compression: CompressionRow[] = [];
  readonly #syncMs: number[] = [];

  constructor(options: Options) {
    this.#options = options;
  }

  async run(): Promise<Report> {
    const mosquitto = findMosquitto();
    const { seconds, rounds, devices } = this.#options;
    if (this.#has('compression')) this.#compression = measureCompression();
    for (let round = 1; round <= rounds; round++) {
      process.stderr.write(`round ${round} of ${rounds}\n`);
      this.#syncMs.push(medianSyncMs());
      await this.#trunkline();
      if (mosquitto !== null && this.#has('rates')) await this.#mosquitto(mosquitto);
    }
    return {
      machine: { cpus: cpus().length, model: cpus()[0]?.model ?? '', node: process.version },
      settings: { seconds, rounds, latencyPerSecond, heldDevices: devices },
      hasMosquitto: mosquitto !== null,
      throughput: [...this.#throughput.values()],
      latency: [...this.#latency.values()],
      connections: this.#connections,
      replays: this.#replays,
      compression: this.#compression,
      syncMs: this.#syncMs,
    };
  }

  /** One row alone, its processes profiled; prints where their time went. */
  async profile(folder: string): Promise<void> {
    mkdirSync(folder, { recursive: true });
    const path = await openTrunkline({ profiles: folder });
    const load = this.#options.row ?? qos1Kept;
    const result = await this.#measure(path, load).finally(() => path.close());
    process.stdout.write(`${settingsLine(result)}\n`);
    for (const name of ['edge-a', 'core', 'edge-b']) {
      process.stdout.write(`\n${name}, share of its busy time\n`);
      for (const { share, name: what, place } of hotSpots(
        join(folder, `${name}.cpuprofile`),
        hotSpotsShown,
      )) {
        const percent = `${(share * 100).toFixed(1)} %`.padStart(7);
        process.stdout.write(`${percent}  ${what}  ${place}\n`);
      }
    }
  }

  async close(): Promise<void> {
    await this.#load.close();
  }

  async #trunkline(): Promise<void> {
    if (this.#has('rates')) await this.#withPath((path) => this.#rates(path));
    if (this.#has('connections')) await this.#withPath((path) => this.#hold(path));
    if (this.#has('replay') && this.#options.replay > 0) {
      await this.#withPath((path) => this.#replay(path));
    }
  }

  #has(part: Part): boolean {
    return (this.#options.only ?? part) === part;
  }

  async #withPath(work: (path: TrunklinePath) => Promise<void>): Promise<void> {
    const { replayRate } = this.#options;
    const edgeFlags = replayRate === undefined ? [] : ['--edge-replay-rate', replayRate];
    const path = await openTrunkline({ edgeFlags });
    await work(path).finally(() => path.close());
  }

  async #rates(path: TrunklinePath): Promise<void> {
    await this.#rows('trunkline', path, [qos0, qos1, qos1Kept]);
  }

  async #rows(system: string, path: RunningPath, loads: readonly Load[]): Promise<void> {
    const { row } = this.#options;
    for (const load of loads) {
      if (row === undefined || row === load) await this.#addRate(system, path, load);
    }
    if (row !== undefined) return;
    for (const load of [qos0, qos1]) await this.#addLatency(system, path, load);
  }

  async #hold(path: TrunklinePath): Promise<void> {
    await this.#load.hold({ port: path.publishPort, devices: this.#options.devices });
    this.#connections.push(connectionsTo(path.pids['a'] as number, path.trunkPort));
  }

  async #replay(path: TrunklinePath): Promise<void> {
    const measureMs = this.#options.seconds * 1000;
    const of = { messages: this.#options.replay, measureMs };
    const result = await measureReplay(path, this.#load, of);
    process.stderr.write(`  replay of ${result.messages}: ${result.seconds.toFixed(1)} s\n`);
    this.#replays.push(result);
  }

  async #mosquitto(program: string): Promise<void> {
    const path = await openMosquitto(program);
    try {
      await this.#rows('mosquitto bridge', path, [qos0, qos1]);
    } finally {
      await path.close();
    }
  }

  async #addRate(system: string, path: RunningPath, load: Load): Promise<void> {
    const result = await this.#measure(path, load);
    process.stderr.write(`  ${system}, ${load.name}: ${settingsLine(result)}\n`);
    rowOf(this.#throughput, system, load).rounds.push(result);
  }

  #measure({ publishPort, subscribePort, pids }: RunningPath, load: Load) {
    const { qos, keepsSession } = load;
    const times = { warmUpMs, measureMs: this.#options.seconds * 1000 };
    return this.#load.throughput({ publishPort, subscribePort, pids, qos, keepsSession, ...times });
  }

  async #addLatency(system: string, path: RunningPath, load: Load): Promise<void> {
    const { publishPort, subscribePort, pids } = path;
    const result = await this.#load.latency({
      publishPort,
      subscribePort,
      pids,
      qos: load.qos,
      perSecond: latencyPerSecond,
      warmUpMs,
      measureMs: this.#options.seconds * 2000,
    });
    process.stderr.write(`  ${system}, ${load.name}: p99 ${result.p99.toFixed(2)} ms\n`);
    rowOf(this.#latency, system, load).rounds.push(result);
  }
}

function rowOf<T>(rows: Map<string, Row<T>>, system: string, { name }: Load): Row<T> {
  const key = `${system}, ${name}`;
  const row = rows.get(key) ?? { system, load: name, rounds: [] };
  rows.set(key, row);
  return row;
}

function optionsOf(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '5' },
      rounds: { type: 'string', default: '3' },
      devices: { type: 'string', default: '1000' },
      replay: { type: 'string', default: '200000' },
      'replay-rate': { type: 'string' },
      only: { type: 'string' },
      row: { type: 'string' },
      json: { type: 'boolean', default: false },
      profile: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  return {
    seconds: positive('seconds', values.seconds),
    rounds: positive('rounds', values.rounds),
    devices: positive('devices', values.devices),
    replay: values.replay === '0' ? 0 : positive('replay', values.replay),
    replayRate: values['replay-rate'],
    only: partOf(values.only),
    row: loadOf(values.row),
    isJson: values.json,
    profiles: values.profile,
  };
}

function partOf(name: string | undefined): Part | undefined {
  const part = parts.find((one) => one === name);
  if (part !== undefined || name === undefined) return part;
  throw new Error(`--only is ${JSON.stringify(name)}; give one of ${parts.join(', ')}.`);
}

function loadOf(name: string | undefined): Load | undefined {
  if (name === undefined) return undefined;
  const load = rowsByName.get(name);
  if (load !== undefined) return load;
  const names = [...rowsByName.keys()].join(', ');
  throw new Error(`--row is ${JSON.stringify(name)}; give one of ${names}.`);
}

function positive(flag: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`--${flag} is ${JSON.stringify(text)}; give a whole number above 0.`);
}

async function main(): Promise<void> {
  const options = optionsOf(process.argv.slice(2));
  if (options === null) {
    process.stdout.write(help);
    return;
  }
  const bench = new TrunkBench(options);
  try {
    if (options.profiles !== undefined) await bench.profile(options.profiles);
    else printReport(await bench.run(), options.isJson);
  } finally {
    await bench.close();
  }
}

await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
