/**
 * One tier as a child process of `trunkline up`: started, told to stop, and started again when it
 * dies. It is started in its own process group, so that a Ctrl-C reaches only the supervisor, which
 * stops the tiers in order; a supervisor that is killed closes the IPC channel, and the child stops.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Backoff } from '../base/backoff.ts';
import { TrunklineError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { TierEvent } from './parent-process.ts';
import { stopWord } from './stop-request.ts';

export type Ports = Readonly<Record<string, number>>;

export interface ChildTierOptions {
  readonly name: 'edge' | 'core';
  /** Flags of the tier. */
  readonly args: readonly string[];
  /** Flag that fixes each bound port, so that a restarted tier is found where it was. */
  readonly portFlags: ReadonlyMap<string, string>;
}

/** Two tiers in a row, within the five seconds that a service manager waits. */
const stopMsMax = 2_000;
/** A tier that lasted this long is healthy: its next death is a new story. */
const settledMs = 30_000;

export class ChildTier {
  readonly #log: Logger;
  readonly #options: ChildTierOptions;
  readonly #backoff = new Backoff({ firstMs: 200, maxMs: 10_000 });
  #child: ChildProcess | null = null;
  #ports: Ports = {};
  #readyAt = 0;
  #restart: NodeJS.Timeout | null = null;
  #isStopping = false;

  constructor(parts: { log: Logger }, options: ChildTierOptions) {
    this.#log = parts.log;
    this.#options = options;
  }

  /** Resolves with the bound ports. Throws the sentence of a tier that cannot start. */
  async start(): Promise<Ports> {
    this.#ports = await this.#launch();
    return this.#ports;
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    const child = this.#child;
    if (child === null || hasEnded(child)) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.connected) child.send(stopWord, () => {});
    const force = setTimeout(() => {
      this.#log.error({ child: this.#options.name }, 'child did not stop, killed');
      child.kill('SIGKILL');
    }, stopMsMax);
    await ended;
    clearTimeout(force);
  }

  async #launch(): Promise<Ports> {
    const { name } = this.#options;
    if (this.#isStopping) throw new TrunklineError('unreachable', `The ${name} was told to stop.`);
    const child = fork(entryFile(), [name, ...this.#options.args, ...this.#pinnedPorts()], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      detached: true,
    });
    this.#child = child;
    try {
      const ports = await firstEvent(child, name);
      this.#readyAt = performance.now();
      child.once('exit', (code, signal) => this.#ended(code, signal));
      return ports;
    } catch (error) {
      if (!hasEnded(child)) await new Promise((resolve) => child.once('exit', resolve));
      throw error;
    }
  }

  #pinnedPorts(): string[] {
    const { portFlags } = this.#options;
    return Object.entries(this.#ports).flatMap(([port, number]) => {
      const flag = portFlags.get(port);
      return flag === undefined ? [] : [`--${flag}`, String(number)];
    });
  }

  #ended(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#isStopping) return;
    if (performance.now() - this.#readyAt > settledMs) this.#backoff.reset();
    this.#relaunchLater({ code, signal });
  }

  #relaunchLater(why: Record<string, unknown>): void {
    const waitMs = Math.round(this.#backoff.next());
    this.#log.warn(
      { child: this.#options.name, ...why, wait_ms: waitMs },
      'child ended, restarting',
    );
    this.#restart = setTimeout(() => {
      this.#launch().then(
        () => this.#log.info({ child: this.#options.name }, 'child restarted'),
        (error: unknown) => {
          if (!this.#isStopping) this.#relaunchLater({ err: error });
        },
      );
    }, waitMs);
  }
}

/** The program itself, beside this folder, built or as source. */
function entryFile(): string {
  return fileURLToPath(new URL(`../trunkline${extname(import.meta.url)}`, import.meta.url));
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** The ports of a child that became ready; throws what it said otherwise. */
function firstEvent(child: ChildProcess, name: string): Promise<Ports> {
  return new Promise((resolve, reject) => {
    const onEvent = (event: TierEvent) => {
      child.off('exit', onExit);
      if (event.event === 'ready') resolve(event.ports);
      else reject(new TrunklineError('unreachable', event.message));
    };
    const onExit = (code: number | null, signal: NodeJS.Signals | null) => {
      child.off('message', onEvent);
      const how = signal ?? `exit code ${code}`;
      reject(
        new TrunklineError(
          'unreachable',
          `The ${name} ended before it was ready (${how}); the lines above say why.`,
        ),
      );
    };
    child.once('message', onEvent);
    child.once('exit', onExit);
  });
}
