/** The brokers under test, each started anew for a measurement and held to one core. */
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  freePort,
  messageFrom,
  removeFolder,
  startModule,
  startProgram,
  stopChild,
  temporaryFolder,
} from '../support/children.ts';
import { listening } from '../support/mosquitto-path.ts';
import { pinnedTo } from './cores.ts';
import type { System } from './scenarios.ts';

export interface RunningBroker {
  readonly port: number;
  readonly pid: number;
  close(): Promise<void>;
}

export interface BrokerOptions {
  readonly core: number;
  /** `trunkline.js` of the build under test. */
  readonly entry: string;
  readonly mosquitto: string | null;
  /** Where the edge keeps its data; a folder for temporary files when undefined. */
  readonly data?: string;
  /** Folder and name of the edge's CPU profile. */
  readonly profile?: { readonly folder: string; readonly name: string };
}

/** Beside the bench, in whatever folder it was built to. */
export const ownEntry = fileURLToPath(new URL('../../trunkline.js', import.meta.url));

/** Nothing is dropped, nothing is written to disk or to a log, no $SYS topics. */
const mosquittoSettings = [
  'allow_anonymous true',
  'persistence false',
  'log_type none',
  'sys_interval 0',
  'max_queued_messages 0',
  'max_queued_bytes 0',
  'max_inflight_messages 0',
];

const edgeFlags = [
  ...['--mqtt-port', '0', '--ws-port', '0', '--edge-http-port', '0', '--log-level', 'error'],
  // No core takes what QoS 1 and 2 leave in the spool: it must hold a whole measurement.
  ...['--limits-spool-bytes', String(64 * 1024 ** 3)],
  ...['--limits-connections', '100000'],
  ...['--limits-connect-rate', '0'],
];

export function openBroker(system: System, options: BrokerOptions): Promise<RunningBroker> {
  if (system === 'mosquitto') return openMosquitto(options, false);
  if (system === 'mosquitto-nodelay') return openMosquitto(options, true);
  return openEdge(options, system === 'trunkline-memory');
}

async function openMosquitto(options: BrokerOptions, hasNoDelay: boolean): Promise<RunningBroker> {
  const folder = temporaryFolder();
  const port = await freePort();
  const file = join(folder, 'mosquitto.conf');
  const lines = [`listener ${port} 127.0.0.1`, ...mosquittoSettings];
  writeFileSync(file, [...lines, `set_tcp_nodelay ${hasNoDelay}`, ''].join('\n'));
  // Node raises its limit of open files itself.
  const raised = ['-c', 'ulimit -n "$(ulimit -Hn)" && exec "$@"', 'sh'];
  const command = [...pinnedTo(options.core), options.mosquitto ?? 'mosquitto', '-c', file];
  const child = startProgram('sh', [...raised, ...command]);
  return running(child, folder, async () => {
    await listening(port);
    return port;
  });
}

/** As docs/operating.md has it for an edge on one CPU core. */
const forOneCore = ['--v8-pool-size=1'];

async function openEdge(options: BrokerOptions, isInMemory: boolean): Promise<RunningBroker> {
  const folder = temporaryFolder(options.data);
  const nobody = await freePort();
  const args = [
    ...['edge', '--data', folder, '--edge-cores', `127.0.0.1:${nobody}`, ...edgeFlags],
    ...(isInMemory ? ['--edge-durability', 'memory'] : []),
  ];
  const { profile } = options;
  const profiling =
    profile === undefined
      ? []
      : ['--cpu-prof', '--cpu-prof-dir', profile.folder, '--cpu-prof-name', profile.name];
  const child = startModule(
    options.entry,
    args,
    [...forOneCore, ...profiling],
    pinnedTo(options.core),
  );
  return running(child, folder, async () => {
    const told = await messageFrom<{ ports?: Record<string, number>; message?: string }>(
      child,
      'The edge',
    );
    const port = told.ports?.['mqtt'];
    if (port === undefined) throw new Error(`The edge did not start: ${told.message}`);
    return port;
  });
}

async function running(
  child: ChildProcess,
  folder: string,
  portOf: () => Promise<number>,
): Promise<RunningBroker> {
  const close = async () => {
    await stopChild(child);
    removeFolder(folder);
  };
  try {
    return { port: await portOf(), pid: child.pid as number, close };
  } catch (error) {
    await close();
    throw error;
  }
}
