/**
 * What cores that share a log cost: device, edge, core, NATS JetStream, another core, edge, device,
 * beside one core with the embedded log and beside the MQTT listeners of the NATS servers themselves.
 * docs/benchmarks.md tells how to read it.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { medianSyncMs } from './support/disk.ts';
import { findProgram } from './support/find-program.ts';
import type { Books, LatencyResult, ThroughputResult } from './support/jobs.ts';
import { LoadProcess } from './support/load-process.ts';
import { openNats } from './support/nats-path.ts';
import { median, table, thousands } from './support/table.ts';
import { openTrunkline, type RunningPath } from './support/trunkline-path.ts';

const help = `Usage: npm run bench:cluster -- [flags]

Measures two cores on NATS with an edge each, one core with two edges, and the MQTT listeners of
nats-server, one after the other on this machine. Needs nats-server.

  --seconds N    Time that each throughput row is measured; latency rows take twice as long [5]
  --rounds N     Rounds; each starts everything anew, medians are printed [3]
  --servers N    NATS servers: 1 or 3 [3]
  --json         Figures of all rounds as JSON instead of tables
  -h, --help     This text
`;

const warmUpMs = 2_000;
const latencyPerSecond = 500;

interface Options {
  readonly seconds: number;
  readonly rounds: number;
  readonly servers: number;
  readonly isJson: boolean;
}

interface Row {
  readonly name: string;
  readonly throughput: ThroughputResult[];
  readonly latency: LatencyResult[];
}

class ClusterBench {
  readonly #options: Options;
  readonly #program: string;
  readonly #load = new LoadProcess();
  readonly #rows = new Map<string, Row>();
  readonly #syncMs: number[] = [];

  constructor(program: string, options: Options) {
    this.#program = program;
    this.#options = options;
  }

  async run(): Promise<string> {
    const { isJson, rounds, servers } = this.#options;
    for (let round = 1; round <= rounds; round++) {
      process.stderr.write(`round ${round} of ${rounds}\n`);
      this.#syncMs.push(medianSyncMs());
      await this.#with(openTrunkline(), (path) => this.#measure('one core, embedded', path));
      await this.#with(openNats(this.#program, servers), async (nats) => {
        const path = await openTrunkline({ backplane: nats.urls });
        const pids = { ...path.pids, ...nats.pids };
        const name = `two cores, NATS × ${servers}`;
        await this.#measure(name, { ...path, pids }).finally(() => path.close());
      });
      await this.#with(openNats(this.#program, servers), (nats) =>
        this.#measure(`MQTT of NATS × ${servers}`, nats),
      );
    }
    const rows = [...this.#rows.values()];
    return isJson ? JSON.stringify({ rows, syncMs: this.#syncMs }, null, 2) : this.#text(rows);
  }

  async close(): Promise<void> {
    await this.#load.close();
  }

  async #with<T extends RunningPath>(
    opening: Promise<T>,
    work: (path: T) => Promise<void>,
  ): Promise<void> {
    const path = await opening;
    await work(path).finally(() => path.close());
  }

  async #measure(system: string, { pids, publishPort, subscribePort }: RunningPath): Promise<void> {
    const measureMs = this.#options.seconds * 1_000;
    const path = { pids, publishPort, subscribePort, warmUpMs };
    for (const qos of [0, 1] as const) {
      const name = `${system}, QoS ${qos}`;
      const row = this.#rows.get(name) ?? { name, throughput: [], latency: [] };
      this.#rows.set(name, row);
      const job = { ...path, qos, keepsSession: false, measureMs };
      const rate = await this.#load.throughput(job);
      row.throughput.push(rate);
      const timed = { ...path, qos, perSecond: latencyPerSecond, measureMs: measureMs * 2 };
      const times = await this.#load.latency(timed);
      row.latency.push(times);
      const shown = `${thousands(rate.perSecond)} msg/s, p99 ${times.p99.toFixed(2)} ms`;
      process.stderr.write(`  ${name}: ${shown}, ${rate.lost + times.lost} lost\n`);
    }
  }

  #text(rows: readonly Row[]): string {
    const { rounds } = this.#options;
    const model = cpus()[0]?.model ?? '';
    return [
      `${cpus().length} × ${model}, Node ${process.version}; medians of ${rounds} rounds.`,
      `One fdatasync takes ${median(this.#syncMs).toFixed(2)} ms here.`,
      'cores to load: CPU seconds for a million messages; others: cores that other work took.',
      '',
      table(
        ['', 'msg/s', 'lost', 'cores', 'edges', 'NATS', 'load', 'others', 'p50 ms', 'p99 ms'],
        rows.map(cells),
      ),
    ].join('\n');
  }
}

function cells({ latency, name, throughput }: Row): string[] {
  const cpu = (names: RegExp) => {
    const sums = throughput.map(({ cpuPerMillion }) => {
      const used = Object.entries(cpuPerMillion).filter(([process]) => names.test(process));
      return used.length === 0 ? Number.NaN : used.reduce((sum, [, seconds]) => sum + seconds, 0);
    });
    return sums.every(Number.isFinite) ? median(sums).toFixed(1) : '-';
  };
  const time = (of: 'p50' | 'p99') => median(latency.map((result) => result[of])).toFixed(2);
  const lost = [...throughput, ...latency].reduce((sum, books: Books) => sum + books.lost, 0);
  return [
    name,
    thousands(median(throughput.map(({ perSecond }) => perSecond))),
    String(lost),
    cpu(/^(core|other)$/),
    cpu(/^[ab]$/),
    cpu(/^nats/),
    cpu(/^load$/),
    median(throughput.map(({ otherCores }) => otherCores)).toFixed(2),
    time('p50'),
    time('p99'),
  ];
}

function optionsOf(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '5' },
      rounds: { type: 'string', default: '3' },
      servers: { type: 'string', default: '3' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  const servers = positive('servers', values.servers);
  if (servers !== 1 && servers !== 3) throw new Error(`--servers is ${servers}; give 1 or 3.`);
  const seconds = positive('seconds', values.seconds);
  return { seconds, rounds: positive('rounds', values.rounds), servers, isJson: values.json };
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
  const program = findProgram('nats-server');
  if (program === null) throw new Error('nats-server is missing: apt-get install nats-server.');
  const bench = new ClusterBench(program, options);
  try {
    process.stdout.write(`${await bench.run()}\n`);
  } finally {
    await bench.close();
  }
}

await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
