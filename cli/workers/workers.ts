/**
 * `trunkline edge --workers N`: one edge as several processes, so that it can use as many cores. This
 * process has the ports, supervises the workers and answers for them; each worker is an edge of its
 * own to the core, and a client identifier always belongs to the same one.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../base/config.ts';
import { TrunklineError } from '../../base/errors.ts';
import { type Readiness, StatusServer } from '../../base/status-server.ts';
import type { RunningTier, TierParts } from '../tier.ts';
import { FrontDoors } from './front-doors.ts';
import { mergedMetrics } from './merged-metrics.ts';
import { SupervisedWorker } from './supervised-worker.ts';
import { workerFolder } from './worker-count.ts';

const edgeIdLengthMax = 64;

/** `args` are the flags that this edge was started with; the workers get them, too. */
export async function openWorkers(
  parts: TierParts,
  config: Config,
  args: readonly string[],
): Promise<RunningTier> {
  const machine = new Machine(parts, config);
  try {
    const ports = await machine.open(args);
    return { ports, failed: machine.failed, close: () => machine.close() };
  } catch (error) {
    await machine.close();
    throw error;
  }
}

class Machine {
  /** Rejects when a worker is lost for good. */
  readonly failed: Promise<never>;
  readonly #parts: TierParts;
  readonly #config: Config;
  #fail: (error: Error) => void = () => {};
  #folder: string | null = null;
  #workers: readonly SupervisedWorker[] = [];
  #status: StatusServer | null = null;
  #doors: FrontDoors | null = null;

  constructor(parts: TierParts, config: Config) {
    this.#parts = parts;
    this.#config = config;
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    // Heard by the tier, but perhaps not yet.
    this.failed.catch(() => {});
  }

  async open(args: readonly string[]): Promise<Record<string, number>> {
    const config = this.#config;
    refuseLongId(config);
    this.#folder = await mkdtemp(join(tmpdir(), 'trunkline-edge-'));
    this.#workers = this.#createWorkers(args, this.#folder);
    this.#status = await StatusServer.open(
      { metrics: { text: () => this.#metrics() } },
      {
        name: "the edge's status server",
        host: config.edge.http_host,
        port: config.edge.http_port,
        portFlag: 'edge-http-port',
        readiness: () => this.#readiness(),
      },
    );
    await Promise.all(this.#workers.map((worker) => worker.start()));
    const { metrics } = this.#parts;
    this.#doors = await FrontDoors.open({ metrics, workers: this.#workers }, config);
    return { ...Object.fromEntries(this.#doors.ports), http: this.#status.port };
  }

  async close(): Promise<void> {
    this.#doors?.close();
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    await this.#status?.close();
    if (this.#folder !== null) await rm(this.#folder, { recursive: true, force: true });
  }

  #createWorkers(args: readonly string[], folder: string): SupervisedWorker[] {
    const { log, metrics } = this.#parts;
    const { data, edge, limits } = this.#config;
    const token = randomBytes(32).toString('hex');
    metrics.gauge(
      'trunkline_workers',
      'Workers that serve.',
      () => this.#workers.filter((worker) => worker.isUp).length,
    );
    const restarts = metrics.counter(
      'trunkline_worker_restarts_total',
      'Workers that ended unasked, or did not start, and were started again.',
    );
    return Array.from({ length: edge.workers }, (_, index) => {
      const number = index + 1;
      return new SupervisedWorker(
        { log, restarts },
        {
          charge: { worker: number, workers: edge.workers, folder, token },
          args: [
            ...args,
            ...['--data', workerFolder(data, number)],
            ...['--edge-id', `${edge.id}-${number}`],
            ...['--edge-workers', '1'],
          ],
          waitingMax: limits.connections,
          onLost: (error) => this.#fail(error),
        },
      );
    });
  }

  async #metrics(): Promise<string> {
    const own = { worker: 'supervisor', text: this.#parts.metrics.text() };
    const reports = await Promise.all(this.#workers.map((worker) => worker.report()));
    const texts = reports.flatMap((report, index) =>
      report === null ? [] : [{ worker: String(index + 1), text: report.metrics }],
    );
    return mergedMetrics([own, ...texts]);
  }

  /** Like an edge without a core, one that lacks a worker serves those devices that it can. */
  async #readiness(): Promise<Readiness> {
    const isListening = this.#doors !== null;
    const reasons = isListening ? [] : ['the listeners are not open yet'];
    const reports = await Promise.all(this.#workers.map((worker) => worker.report()));
    for (const [index, report] of reports.entries()) {
      const own = report?.reasons ?? ['it is away, or does not answer'];
      reasons.push(...own.map((reason) => `worker ${index + 1}: ${reason}`));
    }
    return { ready: isListening && reports.some((report) => report !== null), reasons };
  }
}

function refuseLongId({ edge }: Config): void {
  const longest = `${edge.id}-${edge.workers}`;
  if (longest.length <= edgeIdLengthMax) return;
  throw new TrunklineError(
    'config-invalid',
    `Configuration: edge.id = "${edge.id}" is too long for edge.workers = ${edge.workers}: the last worker would be "${longest}", and a name has at most ${edgeIdLengthMax} characters. Choose a shorter --edge-id.`,
  );
}
