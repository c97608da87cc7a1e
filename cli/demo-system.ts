/**
 * What the demo plays on, in a temporary folder: `trunkline up`, and a second edge on its core, so
 * that messages cross the trunk. Child processes both.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TrunklineError } from '../base/errors.ts';
import type { BrokerAddress } from '../devices/mqtt-client.ts';
import type { CommandIo } from './command.ts';
import type { TierEvent } from './parent-process.ts';
import { stopWord } from './stop-request.ts';

export interface DemoEdge {
  readonly id: string;
  readonly mqtt: BrokerAddress;
}

export interface DemoSystem {
  /** At least one. */
  readonly edges: readonly DemoEdge[];
  /** Base of the operators' HTTP, without a slash at the end. */
  readonly httpUrl: string;
  /** The front door, host:port, and its bearer token, empty for none. */
  readonly gateway: { readonly address: string; readonly token: string };
  /** Rejects when the system ends without being asked to; never resolves. */
  readonly failed: Promise<never>;
  close(): Promise<void>;
}

/** `trunkline up` itself forces its tiers after four; this is for when it cannot. */
const stopMsMax = 6_000;

const loopback = '127.0.0.1';

const northFlags = ['--edge-id', 'north', '--edge-region', 'eu-north'];
const southFlags = ['--edge-id', 'south', '--edge-region', 'eu-south'];

/** The second edge is found by what it tells, so it need not be in anybody's way. */
const freePortFlags = ['mqtt', 'mqtts', 'ws', 'wss', 'edge-http'].flatMap((door) => [
  `--${door}-port`,
  '0',
]);

/**
 * Starts everything with these flags and waits until it is ready. Null when the signal came first.
 * Throws `unreachable` when it cannot start; the reason is in the sentence or above it.
 */
export async function startUp(
  flags: readonly string[],
  io: CommandIo,
  signal: AbortSignal,
): Promise<DemoSystem | null> {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-demo-'));
  const children: DemoChild[] = [];
  const close = async () => {
    for (const child of children.splice(0).reverse()) await child.stop();
    await rm(folder, { recursive: true, force: true });
  };
  const start = (args: readonly string[]) => {
    const child = new DemoChild(args, io);
    children.push(child);
    return Promise.race([child.ready, untilAborted(signal)]);
  };
  const quiet = ['--log-level', 'warn'];
  try {
    // Flags given by the user come later and win, but for what tells the second edge apart.
    const data = ['--data', join(folder, 'north')];
    const up = await start(['up', ...data, ...northFlags, ...quiet, ...flags]);
    const own = ['--data', join(folder, 'south'), ...southFlags, ...freePortFlags];
    const core = ['--edge-cores', `${loopback}:${up?.['trunk'] ?? 0}`];
    const south = up && (await start(['edge', ...quiet, ...flags, ...own, ...core]));
    if (up !== null && south !== null) return system({ up, south }, { io, children, close });
  } catch (error) {
    await close();
    throw error;
  }
  await close();
  return null;
}

type Ports = Readonly<Record<string, number>>;

function system(
  { up, south }: { up: Ports; south: Ports },
  parts: { io: CommandIo; children: readonly DemoChild[]; close: () => Promise<void> },
): DemoSystem {
  const failed = Promise.race(parts.children.map((child) => child.failed));
  // After an orderly close nobody listens any more, and the end is no failure.
  failed.catch(() => {});
  const mqttOf = (ports: Ports) => ({ host: loopback, port: ports['mqtt'] ?? 0 });
  return {
    edges: [
      { id: 'north', mqtt: mqttOf(up) },
      { id: 'south', mqtt: mqttOf(south) },
    ],
    httpUrl: `http://${loopback}:${up['http'] ?? 0}`,
    gateway: {
      address: `${loopback}:${up['gateway'] ?? 0}`,
      token: parts.io.env['TRUNKLINE_GATEWAY_TOKEN'] ?? '',
    },
    failed,
    close: parts.close,
  };
}

/** One process of the system: told to stop over its channel, killed when it does not. */
class DemoChild {
  /** Rejects with the sentence of one that cannot start. */
  readonly ready: Promise<Ports>;
  /** Rejects when it has ended; never resolves. */
  readonly failed: Promise<never>;
  readonly #child: ChildProcess;
  readonly #ended: Promise<string>;

  constructor(args: readonly string[], io: CommandIo) {
    const child = fork(process.argv[1] ?? 'trunkline.js', args, {
      env: io.env,
      execArgv: process.execArgv,
      // A Ctrl-C must not reach it before the devices have said goodbye.
      detached: true,
      // The demo says itself where to look.
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#child = child;
    this.#ended = endOf(child);
    this.failed = this.#ended.then((how) => {
      const command = `trunkline ${args[0]}`;
      throw new TrunklineError(
        'unreachable',
        `\`${command}\` ended by itself (${how}); the lines above say why.`,
      );
    });
    this.failed.catch(() => {}); // Whoever waits for it hears of it.
    this.ready = Promise.race([readyPorts(child), this.failed]);
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child.connected) child.send(stopWord, () => {});
    const force = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
    await this.#ended;
    clearTimeout(force);
  }
}

/** Resolves with how it ended, as words. */
function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
}

function readyPorts(child: ChildProcess): Promise<Ports> {
  return new Promise((resolve, reject) => {
    child.once('message', (event: TierEvent) => {
      if (event.event === 'ready') resolve(event.ports);
      else reject(new TrunklineError('unreachable', event.message));
    });
  });
}

function untilAborted(signal: AbortSignal): Promise<null> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(null);
    else signal.addEventListener('abort', () => resolve(null), { once: true });
  });
}
