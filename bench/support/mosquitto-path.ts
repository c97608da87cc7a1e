/** Two mosquitto brokers joined by a bridge: the usual way to do with brokers what a trunk does. */
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { freePort, removeFolder, startProgram, stopChild, temporaryFolder } from './children.ts';
import { findProgram } from './find-program.ts';
import type { RunningPath } from './trunkline-path.ts';

const listenMs = 5_000;

/** No bounds on what waits or is in flight, no disk: nothing is dropped and nothing is synced. */
const settings = [
  'allow_anonymous true',
  'persistence false',
  'log_type error',
  'max_queued_messages 0',
  'max_queued_bytes 0',
  'max_inflight_messages 0',
  'set_tcp_nodelay true',
];

/** The program's file, or null when it is not installed. */
export function findMosquitto(): string | null {
  return findProgram('mosquitto');
}

export async function openMosquitto(program: string): Promise<RunningPath> {
  const folder = temporaryFolder();
  const opened: ReturnType<typeof startProgram>[] = [];
  const close = async () => {
    for (const child of opened.splice(0).reverse()) await stopChild(child);
    removeFolder(folder);
  };
  const start = async (name: string, port: number, bridge: readonly string[]) => {
    const file = join(folder, `${name}.conf`);
    const lines = [`listener ${port} 127.0.0.1`, ...settings, ...bridge, ''];
    writeFileSync(file, lines.join('\n'));
    const child = startProgram(program, ['-c', file]);
    opened.push(child);
    await listening(port);
    return child.pid as number;
  };
  try {
    const subscribePort = await freePort();
    const b = await start('b', subscribePort, []);
    const publishPort = await freePort();
    const a = await start('a', publishPort, bridgeTo(subscribePort));
    return { publishPort, subscribePort, pids: { a, b }, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function bridgeTo(port: number): string[] {
  return [
    'connection bench',
    `address 127.0.0.1:${port}`,
    'topic # both 1',
    'bridge_protocol_version mqttv311',
    'notifications false',
    'try_private true',
    'restart_timeout 1',
  ];
}

/** Resolves when a broker that cannot tell it takes connections. */
export async function listening(port: number): Promise<void> {
  const until = performance.now() + listenMs;
  while (!(await canConnect(port))) {
    if (performance.now() > until) throw new Error(`Nothing listens on port ${port}.`);
    await wait(50);
  }
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
