/**
 * One worker, as the supervising process sees it: started, given connections, asked how it is, told
 * to stop, and started again when it dies. It is in the process group of its supervisor, so that what
 * a terminal sends reaches both; when the supervisor is killed, the worker notices and stops.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Backoff } from '../../base/backoff.ts';
import { messageOf, TrunklineError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Counter } from '../../base/metrics.ts';
import type { TierEvent } from '../parent-process.ts';
import { stopWord } from '../stop-request.ts';
import { HandoverQueue } from './handover-queue.ts';
import type { Charge, Order, Report, Took } from './messages.ts';

export interface SupervisedWorkerOptions {
  readonly charge: Charge;
  readonly args: readonly string[];
  /** Connections that may wait for it. */
  readonly waitingMax: number;
  /** It could not be started again, several times in a row. */
  readonly onLost: (error: TrunklineError) => void;
}

/** Before the supervisor's own drain is taken for stuck. */
const stopMsMax = 4_000;
/** A worker that lasted this long is healthy: its next death is a new story. */
const settledMs = 30_000;
const failedStartsMax = 3;
/** A scrape must not wait for a worker that hangs. */
const reportMsMax = 2_000;

/** Each worker has about one CPU core: there V8's usual four threads of the garbage collector take
 * turns with the one that they help, and stop it for longer. */
const oneCollectorThread = '--v8-pool-size=1';

export class SupervisedWorker {
  readonly queue: HandoverQueue;
  readonly number: number;
  readonly #log: Logger;
  readonly #restarts: Counter;
  readonly #options: SupervisedWorkerOptions;
  readonly #backoff = new Backoff({ firstMs: 200, maxMs: 10_000 });
  readonly #reports = new Map<number, (report: Report | null) => void>();
  #child: ChildProcess | null = null;
  #isUp = false;
  #readyAt = 0;
  #failedStarts = 0;
  #reportNumber = 0;
  #restart: NodeJS.Timeout | null = null;
  #isStopping = false;

  constructor(parts: { log: Logger; restarts: Counter }, options: SupervisedWorkerOptions) {
    this.number = options.charge.worker;
    this.#log = parts.log.child({ worker: this.number });
    this.#restarts = parts.restarts;
    this.#options = options;
    this.queue = new HandoverQueue(options.waitingMax);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Resolves when it serves. Throws its own sentence when it cannot start. */
  async start(): Promise<void> {
    if (this.#isStopping) throw new TrunklineError('unreachable', 'The worker was told to stop.');
    const child = fork(entryFile(), [...this.#options.args], {
      execArgv: [...process.execArgv, oneCollectorThread],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child = child;
    // Node adds some for each port, and more when the ports are closed.
    child.setMaxListeners(64);
    // A channel that breaks is a worker that ends, which is dealt with there.
    child.on('error', () => {});
    this.#tell(child, { order: 'charge', charge: this.#options.charge });
    await readiness(child, this.number);
    if (hasEnded(child)) throw new TrunklineError('unreachable', endSentence(child, this.number));
    child.on('message', (message) => this.#hear(message));
    child.once('exit', () => this.#ended(child));
    this.#readyAt = performance.now();
    this.#isUp = true;
    this.#log.info({ worker_pid: child.pid }, 'worker serves');
    this.queue.attach(child);
  }

  /** What it says of itself; null when it is away or does not answer. */
  async report(): Promise<Report | null> {
    const child = this.#child;
    if (child === null || !this.#isUp) return null;
    const number = this.#reportNumber++;
    const report = await new Promise<Report | null>((resolve) => {
      const timer = setTimeout(() => resolve(null), reportMsMax);
      this.#reports.set(number, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      this.#tell(child, { order: 'report', number });
    });
    this.#reports.delete(number);
    return report;
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    const child = this.#child;
    if (child === null || hasEnded(child)) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // One that is starting may not listen to words yet.
    if (this.#isUp) child.send(stopWord, () => {});
    else child.kill('SIGTERM');
    const force = setTimeout(() => {
      this.#log.error('worker did not stop, killed');
      child.kill('SIGKILL');
    }, stopMsMax);
    await ended;
    clearTimeout(force);
  }

  #tell(child: ChildProcess, order: Order): void {
    child.send(order, () => {});
  }

  #hear(message: unknown): void {
    if (typeof message !== 'object' || message === null) return;
    if ('took' in message) this.queue.took((message as Took).took);
    if (!('report' in message)) return;
    const report = message as Report;
    this.#reports.get(report.report)?.(report);
  }

  #ended(child: ChildProcess): void {
    this.#isUp = false;
    this.queue.detach();
    for (const answer of this.#reports.values()) answer(null);
    if (this.#isStopping) return;
    if (performance.now() - this.#readyAt > settledMs) this.#backoff.reset();
    this.#restartLater({ code: child.exitCode, signal: child.signalCode });
  }

  #restartLater(why: Record<string, unknown>): void {
    this.#restarts.add();
    const waitMs = Math.round(this.#backoff.next());
    this.#log.warn({ ...why, wait_ms: waitMs }, 'worker ended, restarting');
    this.#restart = setTimeout(() => {
      this.start().then(
        () => {
          this.#failedStarts = 0;
        },
        (error: unknown) => this.#startFailed(error),
      );
    }, waitMs);
  }

  #startFailed(error: unknown): void {
    if (this.#isStopping) return;
    this.#failedStarts++;
    if (this.#failedStarts < failedStartsMax) {
      this.#restartLater({ reason: messageOf(error) });
      return;
    }
    const reason = messageOf(error);
    this.#log.fatal({ reason }, 'worker cannot be started again');
    this.#options.onLost(
      new TrunklineError(
        'unreachable',
        `Worker ${this.number} could not be started again ${failedStartsMax} times in a row: ${reason}`,
        { cause: error },
      ),
    );
  }
}

function entryFile(): string {
  return fileURLToPath(new URL(`./worker-process${extname(import.meta.url)}`, import.meta.url));
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Resolves when the child is ready; throws what it said otherwise, after its end. */
async function readiness(child: ChildProcess, worker: number): Promise<void> {
  const ended = new Promise<null>((resolve) => child.once('exit', () => resolve(null)));
  const told = new Promise<TierEvent>((resolve) => child.once('message', resolve as () => void));
  const event = await Promise.race([told, ended]);
  if (event?.event === 'ready') return;
  if (event !== null) await ended;
  const sentence = event === null ? endSentence(child, worker) : event.message;
  throw new TrunklineError('unreachable', sentence);
}

function endSentence(child: ChildProcess, worker: number): string {
  const how = child.signalCode ?? `exit code ${child.exitCode}`;
  return `Worker ${worker} ended before it was ready (${how}); the lines above say why.`;
}
