/** A real mosquitto as a child process of a test: a broker of another make. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after } from 'node:test';
import { freePort } from './ports.ts';
import { temporaryFolder } from './processes.ts';
import { until } from './until.ts';

/** Where distributions put it, ordinary users' PATH does not look. */
const program = 'mosquitto';

const children = new Set<ChildProcess>();

after(() => {
  for (const child of children) child.kill('SIGKILL');
});

export interface Mosquitto {
  readonly port: number;
  readonly url: string;
  /** Kills it; what it had in memory is gone. */
  kill(): Promise<void>;
  /** Ends it in order, so that it keeps its sessions. */
  stop(): Promise<void>;
  /** On the same port and data. */
  start(): Promise<void>;
}

export async function startMosquitto(settings: readonly string[] = []): Promise<Mosquitto> {
  const folder = temporaryFolder();
  const port = await freePort();
  const file = join(folder, 'mosquitto.conf');
  const fixed = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    // Else, started by root, it could not write to the folder.
    'user root',
    'persistence true',
    `persistence_location ${folder}/`,
    'max_queued_messages 0',
    'max_inflight_messages 0',
    'log_type error',
  ];
  writeFileSync(file, [...fixed, ...settings, ''].join('\n'));
  let child: ChildProcess | null = null;
  const end = async (signal: NodeJS.Signals) => {
    if (child === null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
    children.delete(child);
    child = null;
  };
  const mosquitto: Mosquitto = {
    port,
    url: `mqtt://127.0.0.1:${port}`,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    start: async () => {
      const path = `${process.env['PATH'] ?? ''}:/usr/sbin`;
      child = spawn(program, ['-c', file], {
        stdio: 'ignore',
        env: { ...process.env, PATH: path },
      });
      children.add(child);
      await until(() => listens(port), 'mosquitto listens');
    },
  };
  await mosquitto.start();
  return mosquitto;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
