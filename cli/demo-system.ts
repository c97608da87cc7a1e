/** What the demo plays on: `trunkline up` as a child process, in a temporary folder. */
import { type ChildProcess, fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TrunklineError } from '../base/errors.ts';
import type { BrokerAddress } from '../devices/mqtt-client.ts';
import type { CommandIo } from './command.ts';
import type { TierEvent } from './parent-process.ts';
import { stopWord } from './stop-request.ts';

export interface DemoSystem {
  readonly mqtt: BrokerAddress;
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

/**
 * Starts `trunkline up` with these flags and waits until it is ready. Null when the signal came
 * first. Throws `unreachable` when it cannot start; the reason is in the sentence or above it.
 */
export async function startUp(
  flags: readonly string[],
  io: CommandIo,
  signal: AbortSignal,
): Promise<DemoSystem | null> {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-demo-'));
  // Flags given by the user come last and win.
  const args = ['up', '--data', folder, '--log-level', 'warn', ...flags];
  const child = fork(process.argv[1] ?? 'trunkline.js', args, {
    env: io.env,
    execArgv: process.execArgv,
    // A Ctrl-C must not reach it before the devices have said goodbye.
    detached: true,
    // The demo says itself where to look.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const ended = endOf(child);
  const close = async () => {
    await stopChild(child, ended);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const ports = await Promise.race([ready(child), ended.then(throwEnded), untilAborted(signal)]);
    if (ports !== null) return system(ports, { io, ended, close });
  } catch (error) {
    await close();
    throw error;
  }
  await close();
  return null;
}

type Ports = Readonly<Record<string, number>>;

function system(
  ports: Ports,
  parts: { io: CommandIo; ended: Promise<string>; close: () => Promise<void> },
): DemoSystem {
  const failed = parts.ended.then(throwEnded);
  // After an orderly close nobody listens any more, and the end is no failure.
  failed.catch(() => {});
  return {
    mqtt: { host: loopback, port: ports['mqtt'] ?? 0 },
    httpUrl: `http://${loopback}:${ports['http'] ?? 0}`,
    gateway: {
      address: `${loopback}:${ports['gateway'] ?? 0}`,
      token: parts.io.env['TRUNKLINE_GATEWAY_TOKEN'] ?? '',
    },
    failed,
    close: parts.close,
  };
}

/** Resolves with how it ended, as words. */
function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
}

function throwEnded(how: string): never {
  throw new TrunklineError(
    'unreachable',
    `\`trunkline up\` ended by itself (${how}); the lines above say why.`,
  );
}

function ready(child: ChildProcess): Promise<Ports> {
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

async function stopChild(child: ChildProcess, ended: Promise<string>): Promise<void> {
  if (child.connected) child.send(stopWord, () => {});
  const force = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
  await ended;
  clearTimeout(force);
}
