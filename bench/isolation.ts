/**
 * What clients of one edge notice of each other, beside mosquitto: the latency of bystanders at a
 * fixed rate, without a disturbance and during it. The broker has one core to itself, all clients
 * another, which the disturbance has only while the bystanders leave it.
 * docs/benchmarks.md tells how to read it.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type BrokerOptions, openBroker, ownEntry } from './edge/brokers.ts';
import { type Cores, coresOf } from './edge/cores.ts';
import { LoadGenerator } from './edge/load.ts';
import { isMosquitto, type LoadSettings, type System } from './edge/scenarios.ts';
import { Dialogue } from './isolation/dialogue.ts';
import { type Disturbance, disturbances } from './isolation/disturbances.ts';
import type { Measurement, Window } from './isolation/figures.ts';
import { help, type Options, optionsOf } from './isolation/options.ts';
import { type Report, textOf } from './isolation/report.ts';
import { medianSyncMs } from './support/disk.ts';
import { findMosquitto } from './support/mosquitto-path.ts';
import { cpuSeconds } from './support/process-stat.ts';
import { thousands } from './support/table.ts';

/** 50 pairs, every other one with QoS 1; and the CPU time under load before anything is measured. */
const bystanders = { publishers: 50, rate: 2_000, payload: 64 };
const warmUpCpuMs = { edge: 1_000, mosquitto: 300 };
const warmUpMsMax = 3_000;

/** A disturbance has run for so long before it is looked at: what it does first, such as filling a
 * buffer, happens once. */
const settleMs = 1_000;

class IsolationBench {
  readonly #options: Options;
  readonly #cores: Cores;
  readonly #load: LoadGenerator;
  readonly #mosquitto = findMosquitto();
  readonly #measurements: Measurement[] = [];
  readonly #failures: string[] = [];

  constructor(options: Options, cores: Cores, load: LoadGenerator) {
    this.#options = options;
    this.#cores = cores;
    this.#load = load;
  }

  get hasFailed(): boolean {
    return this.#failures.length > 0;
  }

  async run(): Promise<Report> {
    const { seconds, rounds, data } = this.#options;
    const syncMs = medianSyncMs(data);
    for (let round = 1; round <= rounds; round++) {
      process.stderr.write(`round ${round} of ${rounds}\n`);
      for (const disturbance of disturbances) await this.#disturbance(disturbance, round);
    }
    return {
      machine: { cpus: cpus().length, model: cpus()[0]?.model ?? '', node: process.version },
      settings: { seconds, rounds, syncMs },
      notes: [...this.#notes()],
      measurements: this.#measurements,
    };
  }

  async #disturbance(disturbance: Disturbance, round: number): Promise<void> {
    if (!this.#options.disturbances.includes(disturbance.name)) return;
    for (const system of this.#options.systems) {
      if (isMosquitto(system) && this.#mosquitto === null) continue;
      const what = `${disturbance.name}, ${system}`;
      try {
        const measurement = await this.#measure(disturbance, system, round);
        this.#measurements.push(measurement);
        process.stderr.write(`  ${what}: ${lineOf(measurement)}\n`);
      } catch (error) {
        const sentence = error instanceof Error ? error.message : String(error);
        this.#failures.push(`${what}: ${sentence}`);
        process.stderr.write(`  ${what}: failed: ${sentence}\n`);
      }
    }
  }

  async #measure(disturbance: Disturbance, system: System, round: number): Promise<Measurement> {
    const { name, mode, load } = disturbance;
    const broker = await openBroker(system, this.#brokerOptions(name, system, round));
    const started: Dialogue[] = [];
    const start = async (mode: string, settings: LoadSettings) => {
      const to = { port: broker.port, pid: broker.pid };
      const one = new Dialogue(this.#load.command(mode, { ...to, ...settings }));
      started.push(one);
      await one.answer();
      return one;
    };
    try {
      const disturber = await start(mode, load);
      const others = await start('bystand', {
        ...bystanders,
        warmup_cpu_ms: isMosquitto(system) ? warmUpCpuMs.mosquitto : warmUpCpuMs.edge,
        warmup_ms: warmUpMsMax,
        measure_ms: this.#options.seconds * 1000,
      });
      const measured = async () => {
        const before = cpuSeconds(disturber.pid);
        const window = await others.ask<Window>('m');
        const cpu = cpuSeconds(disturber.pid) - before;
        return { window: { ...window, otherCpu: Math.max(0, window.otherCpu - cpu) }, cpu };
      };
      const quiet = (await measured()).window;
      disturber.tell('g');
      await wait(settleMs);
      const { window: disturbed, cpu } = await measured();
      const { done, seconds } = await disturber.ask<{ done: number; seconds: number }>('q');
      return {
        ...{ disturbance: name, system, round, quiet, disturbed },
        rate: done / seconds,
        disturbanceCores: cpu / disturbed.seconds,
      };
    } finally {
      for (const one of started.reverse()) await one.close();
      await broker.close();
    }
  }

  #brokerOptions(name: string, system: System, round: number): BrokerOptions {
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

  *#notes(): Generator<string> {
    if (this.#mosquitto === null)
      yield 'no mosquitto here: install it for figures to compare with.';
    if (this.#cores.broker === this.#cores.load) {
      yield 'one core only: the broker waits for its clients, and latencies say little.';
    }
    for (const sentence of this.#failures) yield `failed: ${sentence}`;
  }
}

function lineOf({ quiet, disturbed, rate, disturbanceCores }: Measurement): string {
  const one = (qos: 'qos0' | 'qos1') =>
    `p99 ${thousands(quiet[qos].p99)} -> ${thousands(disturbed[qos].p99)} µs`;
  const did = `did ${thousands(rate)}/s with ${disturbanceCores.toFixed(2)} cores`;
  const late = `late ${thousands(disturbed.lateness.p99)} µs`;
  return `QoS 0 ${one('qos0')}, QoS 1 ${one('qos1')}, ${did}, ${late}`;
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
  const bench = new IsolationBench(options, cores, await LoadGenerator.open(cores.load));
  const report = await bench.run();
  process.stdout.write(`${textOf(report, options.isMarkdown)}\n`);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`);
  if (bench.hasFailed) process.exitCode = 1;
}

await main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
