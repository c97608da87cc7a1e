/**
 * A core and two edges as processes, with the settings that they are shipped with; or two cores that
 * share a log on NATS, an edge at each.
 */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  freePort,
  messageFrom,
  removeFolder,
  startModule,
  stopChild,
  temporaryFolder,
} from './children.ts';
import type { LoadPath } from './jobs.ts';

/** Beside the bench, in whatever folder it was built to. */
const entryFile = fileURLToPath(new URL('../../trunkline.js', import.meta.url));

const common = ['--log-level', 'warn'];
const corePorts = ['--gateway-port', '0', '--http-port', '0'];
const edgePorts = ['--mqtt-port', '0', '--ws-port', '0', '--edge-http-port', '0'];

export interface RunningPath extends LoadPath {
  close(): Promise<void>;
}

export interface TrunklinePath extends RunningPath {
  /** Where the edges connect to the core. */
  readonly trunkPort: number;
  stopCore(): Promise<void>;
  /** On the same port and folder. */
  startCore(): Promise<void>;
  /** Publications in edge A's spool that the core has not made durable. */
  backlog(): Promise<number>;
}

interface Tier {
  readonly child: ChildProcess;
  readonly ports: Readonly<Record<string, number>>;
}

export interface TrunklineOptions {
  /** Where each process leaves its CPU profile when it stops. */
  readonly profiles?: string;
  readonly edgeFlags?: readonly string[];
  /** Addresses of NATS servers: then there are two cores. */
  readonly backplane?: readonly string[];
}

export async function openTrunkline(options: TrunklineOptions = {}): Promise<TrunklinePath> {
  const { profiles } = options;
  const folder = temporaryFolder();
  const opened: Tier[] = [];
  const close = async () => {
    for (const tier of opened.splice(0).reverse()) await stopChild(tier.child);
    removeFolder(folder);
  };
  const start = async (name: string, command: string, flags: readonly string[]) => {
    const args = [command, '--data', join(folder, name), ...common, ...flags];
    const child = startModule(entryFile, args, profileFlags(name, profiles));
    const tier = { child, ports: await portsOf(child, name) };
    opened.push(tier);
    return tier;
  };
  try {
    const trunkPort = await freePort();
    const shared = options.backplane?.join(',') ?? 'embedded';
    const startCore = (name = 'core', port = trunkPort) => {
      const own = ['--core-id', name, '--core-backplane', shared, '--trunk-port', String(port)];
      return start(name, 'core', [...corePorts, ...own]);
    };
    let core = await startCore();
    const isAlone = options.backplane === undefined;
    const otherPort = isAlone ? trunkPort : await freePort();
    const other = isAlone ? core : await startCore('core-2', otherPort);
    const edgeFlags = (id: string, port: number) => [
      ...edgePorts,
      ...['--edge-id', id, '--edge-cores', `127.0.0.1:${port}`],
      ...(options.edgeFlags ?? []),
    ];
    const a = await start('edge-a', 'edge', edgeFlags('edge-a', trunkPort));
    const b = await start('edge-b', 'edge', edgeFlags('edge-b', otherPort));
    return {
      publishPort: portOf(a, 'mqtt'),
      subscribePort: portOf(b, 'mqtt'),
      trunkPort,
      pids: {
        a: pidOf(a),
        core: pidOf(core),
        ...(isAlone ? {} : { other: pidOf(other) }),
        b: pidOf(b),
      },
      stopCore: async () => {
        opened.splice(opened.indexOf(core), 1);
        await stopChild(core.child);
      },
      startCore: async () => {
        core = await startCore();
      },
      backlog: () => backlogOf(portOf(a, 'http')),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function backlogOf(httpPort: number): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  const figure = /^trunkline_spool_backlog(?:\{[^}]*\})? (\d+)$/m.exec(text)?.[1];
  if (figure === undefined) throw new Error('The edge does not tell trunkline_spool_backlog.');
  return Number(figure);
}

function profileFlags(name: string, folder: string | undefined): string[] {
  if (folder === undefined) return [];
  return ['--cpu-prof', '--cpu-prof-dir', folder, '--cpu-prof-name', `${name}.cpuprofile`];
}

async function portsOf(child: ChildProcess, name: string): Promise<Tier['ports']> {
  const told = await messageFrom<{ ports?: Tier['ports']; message?: string }>(child, name);
  if (told.ports === undefined) throw new Error(`${name} did not start: ${told.message}`);
  return told.ports;
}

function portOf(tier: Tier, name: string): number {
  const port = tier.ports[name];
  if (port === undefined) throw new Error(`A process told no port named ${name}.`);
  return port;
}

function pidOf(tier: Tier): number {
  return tier.child.pid as number;
}
