/**
 * What one edge does for its devices, beside mosquitto: rates, CPU for a message, latency at fixed
 * rates, connections. Each broker has one core to itself and the load generator another.
 * docs/benchmarks.md tells how to read it.
 */
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { type BrokerOptions, openBroker, ownEntry } from './edge/brokers.ts';
import { type Cores, coresOf, openFilesMax } from './edge/cores.ts';
import type { Measurement } from './edge/figures.ts';
import { LoadGenerator, type LoadResult } from './edge/load.ts';
import { help, type Options, optionsOf } from './edge/options.ts';
import { type Report, textOf } from './edge/report.ts';
import { carries, isMosquitto, type Scenario, type System, scenarios } from './edge/scenarios.ts';
import { medianSyncMs } from './support/disk.ts';
import { findMosquitto } from './support/mosquitto-path.ts';
import { hotSpots } from './support/profile.ts';
import { thousands } from './support/table.ts';

const hotSpotsShown = 15;

/** CPU time under full load before anything is measured. Code that is compiled as it runs needs
 * most of this; mosquitto only fills its buffers. A paced load follows one message at a time. */
const warmUpCpuMs = { edge: 1_000, mosquitto: 300 };
const warmUpMsMax = 2_500;

/** Connections that are opened and held, when the limit of open files leaves room for them. */
const heldConnectionsMax = 10_000;
const filesBeside = 500;

/** What statfs calls a file system that is memory. */
const tmpfs = 0x01021994;

class EdgeBench {
  readonly #options: Options;
  readonly #cores: Cores;
  readonly #load: LoadGenerator;
  readonly #mosquitto = findMosquitto();
  readonly #measurements: Measurement[] = [];
  readonly #failures = new Map<string, string>();

  constructor(options: Options, cores: Cores, load: LoadGenerator) {
    this.#options = options;
    this.#cores = cores;
    this.#load = load;
  }

  /** Failed measurements so far, by what failed. */
  get failures(): ReadonlyMap<string, string> {
    return this.#failures;
  }

  async run(): Promise<Report> {
    const { seconds, rounds, protocol } = this.#options;
    const wanted = scenarios.filter(({ name }) => this.#options.scenarios.includes(name));
    const syncMs = medianSyncMs(this.#options.data);
    for (let round = 1; round <= rounds; round++) {
      process.stderr.write(`round ${round} of ${rounds}\n`);
      for (const scenario of wanted) await this.#scenario(scenario, round);
    }
    return {
      machine: { cpus: cpus().length, model: cpus()[0]?.model ?? '', node: process.version },
      settings: { seconds, rounds, protocol, syncMs },
      notes: [...this.#notes()],
      measurements: this.#measurements,
    };
  }

  /** The systems in turn; who begins changes with each round, so that nobody is always first. */
  async #scenario(scenario: Scenario, round: number): Promise<void> {
    const systems = this.#options.systems.filter(
      (system) => carries(system, scenario) && this.#isHere(system),
    );
    const first = (round - 1) % Math.max(systems.length, 1);
    for (const system of [...systems.slice(first), ...systems.slice(0, first)]) {
      const what = `${scenario.name}, ${system}`;
      // What could not run once, such as a flag that this build does not know, will not run again.
      if (this.#failures.has(what)) continue;
      try {
        const measurement = await this.#measure(scenario, system, round);
        this.#measurements.push(measurement);
        process.stderr.write(`  ${what}: ${lineOf(measurement)}\n`);
      } catch (error) {
        const sentence = error instanceof Error ? error.message : String(error);
        this.#failures.set(what, sentence);
        process.stderr.write(`  ${what}: failed: ${sentence}\n`);
      }
    }
  }

  async #measure(scenario: Scenario, system: System, round: number): Promise<Measurement> {
    const { seconds, protocol } = this.#options;
    const broker = await openBroker(system, this.#brokerOptions(scenario, system, round));
    const to = { port: broker.port, pid: broker.pid, v5: protocol === 5 ? 1 : 0 };
    const at = { scenario: scenario.name, system, round };
    try {
      if (scenario.kind === 'connect' || scenario.kind === 'memory') {
        const connections = Math.min(heldConnectionsMax, openFilesMax() - filesBeside);
        return { ...at, hold: await this.#load.hold({ ...to, ...scenario.load, connections }) };
      }
      const times = {
        warmup_cpu_ms: isMosquitto(system) ? warmUpCpuMs.mosquitto : warmUpCpuMs.edge,
        warmup_ms: warmUpMsMax,
        measure_ms: seconds * 1000,
      };
      return { ...at, load: await this.#load.flow({ ...to, ...scenario.load, ...times }) };
    } finally {
      await broker.close();
    }
  }

  #brokerOptions({ name }: Scenario, system: System, round: number): BrokerOptions {
    const { edge, data, profile } = this.#options;
    return {
      core: this.#cores.broker,
      entry: edge === undefined ? ownEntry : resolve(edge),
      mosquitto: this.#mosquitto,
      ...(data === undefined ? {} : { data }),
      ...(profile === undefined
        ? {}
        : { profile: { folder: profile, name: `${name}-${system}-${round}.cpuprofile` } }),
    };
  }

  #isHere(system: System): boolean {
    return !isMosquitto(system) || this.#mosquitto !== null;
  }

  *#notes(): Generator<string> {
    if (this.#mosquitto === null)
      yield 'no mosquitto here: install it for figures to compare with.';
    if (this.#cores.broker === this.#cores.load) {
      yield 'one core only: broker and load generator take turns on it, and rates say little.';
    }
    if (statfsSync(this.#options.data ?? tmpdir()).type === tmpfs) {
      yield 'the data folder is in memory, so durable rows are not: name one on a disk by --data.';
    }
    for (const [what, sentence] of this.#failures) yield `${what} failed: ${sentence}`;
  }
}

function lineOf({ load, hold }: Measurement): string {
  if (load !== undefined) return loadLine(load);
  if (hold === undefined) return '';
  const { connections, seconds, bytes } = hold;
  return `${thousands(connections / seconds)} CONNECTs/s, ${thousands(bytes / connections)} B each`;
}

function loadLine({ delivered, seconds, brokerCpu, lost, reordered, p99 }: LoadResult): string {
  const rate = `${thousands(delivered / seconds)} msg/s`;
  const cpu = `${((brokerCpu / delivered) * 1e6).toFixed(2)} µs a message`;
  const latency = p99 === undefined ? '' : `, p99 ${thousands(p99)} µs`;
  return `${rate}, ${cpu}${latency}, ${lost} lost, ${reordered} reordered`;
}

function printHotSpots(folder: string, measurements: readonly Measurement[]): void {
  for (const { scenario, system, round } of measurements) {
    if (isMosquitto(system)) continue;
    const file = join(folder, `${scenario}-${system}-${round}.cpuprofile`);
    process.stdout.write(`\n${basename(file)}, share of its busy time\n`);
    for (const { share, name, place } of hotSpots(file, hotSpotsShown)) {
      process.stdout.write(`${(share * 100).toFixed(1).padStart(5)} %  ${name}  ${place}\n`);
    }
  }
}

async function main(): Promise<void> {
  const options = optionsOf(process.argv.slice(2));
  if (options === null) {
    process.stdout.write(help);
    return;
  }
  const { json, profile } = options;
  if (profile !== undefined) mkdirSync(profile, { recursive: true });
  const cores = coresOf();
  const bench = new EdgeBench(options, cores, await LoadGenerator.open(cores.load));
  const report = await bench.run();
  process.stdout.write(`${textOf(report, options.isMarkdown)}\n`);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  if (profile !== undefined) printHotSpots(profile, report.measurements);
  if (bench.failures.size > 0) process.exitCode = 1;
}

await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
