/** Child processes and folders of the bench, gone when it ends, however it ends. */
import {
  type ChildProcess,
  type ChildProcessByStdio,
  fork,
  type StdioOptions,
  spawn,
} from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';

const stopMs = 15_000;

const children = new Set<ChildProcess>();
const folders = new Set<string>();

process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});
process.once('SIGINT', () => process.exit(130));
process.once('SIGTERM', () => process.exit(143));

/** Warnings and faults of children are shown; standard output is the bench's own. */
const stdio: StdioOptions = ['ignore', 'ignore', 'inherit'];

/** A Node program with an IPC channel; `launcher` is a command that runs another, such as taskset. */
export function startModule(
  file: string,
  args: readonly string[],
  execArgv: readonly string[] = [],
  launcher: readonly string[] = [],
): ChildProcess {
  // Settings of the user's own shell must not change what is measured.
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('TRUNKLINE_'));
  const [execPath = process.execPath, ...words] = [...launcher, process.execPath];
  return track(
    fork(file, args, {
      stdio: [...(stdio as 'inherit'[]), 'ipc'],
      execPath,
      execArgv: [...words, '--enable-source-maps', ...execArgv],
      env: Object.fromEntries(own),
    }),
  );
}

export function startProgram(file: string, args: readonly string[]): ChildProcess {
  return track(spawn(file, args, { stdio }));
}

/** One that is told by standard input what to do, and answers on standard output. */
export function startDialogue(
  file: string,
  args: readonly string[],
): ChildProcessByStdio<Writable, Readable, Readable> {
  const child = spawn(file, args, { stdio: 'pipe' });
  track(child);
  return child;
}

function track(child: ChildProcess): ChildProcess {
  children.add(child);
  child.once('exit', () => children.delete(child));
  child.once('error', () => children.delete(child));
  return child;
}

/** Asks it to stop and waits for its end. */
export async function stopChild(child: ChildProcess): Promise<void> {
  if (!children.has(child)) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const guard = setTimeout(() => child.kill('SIGKILL'), stopMs);
  await ended;
  clearTimeout(guard);
}

/** The next message of a child; rejects when it ends instead. */
export function messageFrom<T>(child: ChildProcess, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const onExit = () => reject(new Error(`${what} ended before it answered.`));
    child.once('exit', onExit);
    child.once('error', reject);
    child.once('message', (message) => {
      child.off('exit', onExit);
      child.off('error', reject);
      resolve(message as T);
    });
  });
}

export function temporaryFolder(parent = tmpdir()): string {
  const folder = mkdtempSync(join(parent, 'trunkline-bench-'));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

/** A port that was free a moment ago, for programs that cannot tell which one they took. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
