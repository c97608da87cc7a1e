/**
 * Real nats-servers for tests: one, or a cluster of three, on free ports, with JetStream in a
 * temporary folder. Gone when the test file ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { freePorts } from './ports.ts';
import { until } from './until.ts';

const programFolders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/usr/local/bin'];
const program = programFolders.map((folder) => join(folder, 'nats-server')).find(existsSync);

const servers = new Set<NatsServer>();
const made = new Set<string>();

after(async () => {
  await Promise.all([...servers].map((server) => server.kill()));
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/** Throws when it is not installed. */
export function natsProgram(): string {
  if (program !== undefined) return program;
  throw new Error('nats-server is missing: run apt-get install nats-server, then the test again.');
}

export class NatsServer {
  readonly url: string;
  readonly folder: string;
  readonly #port: number;
  readonly #monitor: number;
  readonly #file: string;
  #child: ChildProcess | null = null;
  #output = '';

  constructor(
    name: string,
    ports: { readonly client: number; readonly monitor: number },
    more: string,
  ) {
    this.#port = ports.client;
    this.#monitor = ports.monitor;
    this.url = `nats://127.0.0.1:${ports.client}`;
    this.folder = mkdtempSync(join(tmpdir(), 'trunkline-nats-'));
    made.add(this.folder);
    this.#file = join(this.folder, 'server.conf');
    const lines = [
      `server_name: ${name}`,
      `listen: "127.0.0.1:${ports.client}"`,
      `http: "127.0.0.1:${ports.monitor}"`,
      more.replaceAll('FOLDER', join(this.folder, 'jetstream')),
    ];
    writeFileSync(this.#file, `${lines.join('\n')}\n`);
  }

  get port(): number {
    return this.#port;
  }

  get output(): string {
    return this.#output;
  }

  get monitorPort(): number {
    return this.#monitor;
  }

  async start(): Promise<this> {
    const child = spawn(natsProgram(), ['-c', this.#file], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    servers.add(this);
    this.#output = '';
    const take = (text: Buffer) => {
      this.#output = (this.#output + text.toString()).slice(-100_000);
    };
    child.stdout?.on('data', take);
    child.stderr?.on('data', take);
    // Its monitor answers earlier than it takes clients.
    const isReady = () => this.#output.includes('Server is ready');
    await until(isReady, 'nats-server takes clients', 10_000).catch((error: unknown) => {
      throw new Error(this.#output, { cause: error });
    });
    return this;
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill(signal);
    await ended;
  }

  /** What the server tells of itself; null when it does not answer. */
  async tell<T>(path: string): Promise<T | null> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#monitor}${path}`);
      return (await response.json()) as T;
    } catch {
      return null;
    }
  }
}

const jetstream = 'jetstream { store_dir: "FOLDER" }';

/** One server. `settings` takes the place of plain JetStream. */
export async function startNats(settings = jetstream): Promise<NatsServer> {
  const [client = 0, monitor = 0] = await freePorts(2);
  return new NatsServer('n0', { client, monitor }, settings).start();
}

/** Three servers that have elected who leads them. */
export async function startNatsCluster(): Promise<NatsServer[]> {
  const ports = await freePorts(9);
  const routes = [0, 1, 2].map((i) => `"nats://127.0.0.1:${ports[i * 3 + 2]}"`).join(', ');
  const cluster = [0, 1, 2].map((i) => {
    const settings = `${jetstream}\ncluster { name: test, listen: "127.0.0.1:${ports[i * 3 + 2]}", routes: [${routes}] }`;
    const own = { client: ports[i * 3] as number, monitor: ports[i * 3 + 1] as number };
    return new NatsServer(`n${i}`, own, settings);
  });
  await Promise.all(cluster.map((server) => server.start()));
  await led(cluster);
  return cluster;
}

interface Jsz {
  readonly meta_cluster?: { readonly leader?: string; readonly cluster_size?: number };
}

/** Resolves when the servers that run agree on a leader of all. */
export async function led(cluster: readonly NatsServer[]): Promise<void> {
  await until(
    async () => {
      const told = await Promise.all(cluster.map((server) => server.tell<Jsz>('/jsz')));
      const up = told.filter((jsz) => jsz !== null);
      const leaders = new Set(up.map((jsz) => jsz.meta_cluster?.leader ?? ''));
      return up.length > 1 && leaders.size === 1 && !leaders.has('');
    },
    'the cluster has a leader',
    30_000,
  );
}
