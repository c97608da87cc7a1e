/** NATS servers with JetStream, one or a cluster, and their own MQTT listeners. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { freePort, removeFolder, startProgram, stopChild, temporaryFolder } from './children.ts';
import type { RunningPath } from './trunkline-path.ts';

/** Until streams can be made: a cluster elects its leaders first. */
const readyMsMax = 30_000;

export interface NatsServers extends RunningPath {
  readonly urls: readonly string[];
}

interface Ports {
  readonly client: number;
  readonly monitor: number;
  readonly route: number;
  readonly mqtt: number;
}

/** MQTT clients publish at the first, and subscribe at the last. */
export async function openNats(program: string, count: number): Promise<NatsServers> {
  const folder = temporaryFolder();
  const opened: ReturnType<typeof startProgram>[] = [];
  const close = async () => {
    await Promise.all(opened.splice(0).map((child) => stopChild(child)));
    removeFolder(folder);
  };
  try {
    const all: Ports[] = [];
    for (let i = 0; i < count; i++) {
      const [client, monitor] = [await freePort(), await freePort()];
      all.push({ client, monitor, route: await freePort(), mqtt: await freePort() });
    }
    for (const i of all.keys()) {
      const file = join(folder, `server-${i}.conf`);
      writeFileSync(file, settingsOf(i, all, join(folder, `data-${i}`)));
      opened.push(startProgram(program, ['-c', file]));
    }
    await ready(all);
    const [first, last] = [all[0] as Ports, all[count - 1] as Ports];
    return {
      urls: all.map(({ client }) => `nats://127.0.0.1:${client}`),
      publishPort: first.mqtt,
      subscribePort: last.mqtt,
      pids: Object.fromEntries(opened.map(({ pid }, i) => [`nats${i + 1}`, pid as number])),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function settingsOf(index: number, all: readonly Ports[], store: string): string {
  const { client, mqtt, monitor, route } = all[index] as Ports;
  const routes = all.map((ports) => `"nats://127.0.0.1:${ports.route}"`).join(', ');
  return [
    `server_name: n${index}`,
    `listen: "127.0.0.1:${client}"`,
    `http: "127.0.0.1:${monitor}"`,
    'log_file: "/dev/null"',
    `jetstream { store_dir: "${store}" }`,
    // As many as it is shipped with, 100, would wait for each other at that rate; all filters of a
    // client together may have 65,535.
    `mqtt { listen: "127.0.0.1:${mqtt}", max_ack_pending: 2000 }`,
    all.length === 1
      ? ''
      : `cluster { name: bench, listen: "127.0.0.1:${route}", routes: [${routes}] }`,
    '',
  ].join('\n');
}

async function ready(all: readonly Ports[]): Promise<void> {
  const until = performance.now() + readyMsMax;
  for (;;) {
    const answers = await Promise.all(all.map(isReady));
    if (!answers.includes(false)) return;
    if (performance.now() > until) throw new Error('The NATS servers did not get ready.');
    await wait(100);
  }
}

async function isReady({ monitor }: Ports): Promise<boolean> {
  try {
    const { ok } = await fetch(`http://127.0.0.1:${monitor}/healthz`);
    return ok;
  } catch {
    return false;
  }
}
