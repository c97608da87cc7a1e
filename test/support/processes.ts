/**
 * The compiled program as child processes of a test: started on free ports and a data folder of its
 * own, ready when the promise resolves, and gone when the test file ends, whatever the test did.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Beside the tests, in whatever folder they were built to. */
export const entryFile = fileURLToPath(new URL('../../trunkline.js', import.meta.url));

/** Longer than any start takes on a busy machine; a hang must still end within a test's time. */
const readyMsMax = 20_000;

const children = new Set<ChildProcess>();
const folders = new Set<string>();

after(async () => {
  await Promise.all([...children].map((child) => endOf(child, 'SIGKILL')));
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunningProcess {
  readonly pid: number;
  /** Bound ports: `mqtt`, `ws`, `http` of an edge; `trunk`, `gateway`, `http` of a core; all of
   * them, with the edge's own HTTP as `edge_http`, of `up`. */
  readonly ports: Readonly<Record<string, number>>;
  /** Port of that name; throws when the process did not tell it. */
  port(name: string): number;
  readonly data: string;
  /** What it wrote so far. */
  readonly stdout: string;
  readonly stderr: string;
  readonly exited: Promise<Exit>;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<Exit>;
  /** Sends a signal (SIGKILL when not told otherwise), and waits for the end. */
  kill(signal?: NodeJS.Signals): Promise<Exit>;
}

export interface StartOptions {
  /** Data folder; a new one when left out. */
  readonly data?: string;
  /** More flags, such as `['--edge-id', 'edge-2']`; the later wins. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A program and its arguments that start it and become it, such as `nsenter`. */
  readonly within?: readonly string[];
}

/** A new folder that is removed when the test file ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'trunkline-test-'));
  folders.add(folder);
  return folder;
}

const freePorts = new Map([
  [
    'edge',
    [
      '--mqtt-port',
      '0',
      '--ws-port',
      '0',
      '--mqtts-port',
      '0',
      '--wss-port',
      '0',
      '--edge-http-port',
      '0',
    ],
  ],
  ['core', ['--trunk-port', '0', '--gateway-port', '0', '--http-port', '0']],
]);

/** Starts a tier, or both with `up`, and waits until it is ready. Rejects with its own sentence. */
export async function startProcess(
  command: 'edge' | 'core' | 'up',
  options: StartOptions = {},
): Promise<RunningProcess> {
  const data = options.data ?? temporaryFolder();
  const ports =
    command === 'up' ? [...freePorts.values()].flat() : (freePorts.get(command) as string[]);
  const args = [command, '--data', data, ...ports, ...(options.flags ?? [])];
  const child = fork(entryFile, args, {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    ...started(options.within ?? []),
    env: cleanEnv(options.env),
  });
  const output = captured(child);
  const exited = track(child);
  const bound = await readyPorts(child, () => output.stderr);
  return {
    pid: child.pid as number,
    ports: bound,
    port(name) {
      const port = bound[name];
      if (port === undefined) throw new Error(`${command} told no port ${name}`);
      return port;
    },
    data,
    get stdout() {
      return output.stdout;
    },
    get stderr() {
      return output.stderr;
    },
    exited,
    stop: () => endOf(child, 'SIGTERM'),
    kill: (signal = 'SIGKILL') => endOf(child, signal),
  };
}

function started(within: readonly string[]): { execPath: string; execArgv: string[] } {
  const [execPath = process.execPath, ...execArgv] = [...within, process.execPath];
  return { execPath, execArgv: [...execArgv, '--enable-source-maps'] };
}

/** A core and an edge that is connected to it. */
export async function startPair(
  options: { core?: StartOptions; edge?: StartOptions } = {},
): Promise<{ core: RunningProcess; edge: RunningProcess }> {
  const core = await startProcess('core', options.core);
  const edge = await startProcess('edge', {
    ...options.edge,
    flags: ['--edge-cores', `127.0.0.1:${core.port('trunk')}`, ...(options.edge?.flags ?? [])],
  });
  return { core, edge };
}

/** Runs a command to its end, without an IPC channel: as a user does. One that hangs is killed. */
export async function runCommand(
  args: readonly string[],
  options: { env?: Readonly<Record<string, string>>; cwd?: string } = {},
): Promise<Exit & { readonly stdout: string; readonly stderr: string }> {
  const child = spawn(process.execPath, ['--enable-source-maps', entryFile, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: cleanEnv(options.env),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const output = captured(child);
  const guard = setTimeout(() => child.kill('SIGKILL'), readyMsMax);
  const exit = await track(child);
  clearTimeout(guard);
  return { ...exit, stdout: output.stdout, stderr: output.stderr };
}

/** Settings of the developer's own shell must not reach a test. */
function cleanEnv(extra: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(([name]) => !name.startsWith('TRUNKLINE_'));
  return { ...Object.fromEntries(own), NODE_TEST_CONTEXT: undefined, ...extra };
}

function captured(child: ChildProcess): { stdout: string; stderr: string } {
  const output = { stdout: '', stderr: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  return output;
}

/** Resolves when the process has ended and its output is read to the end. */
function track(child: ChildProcess): Promise<Exit> {
  children.add(child);
  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      children.delete(child);
      resolve({ code, signal });
    });
  });
}

function endOf(child: ChildProcess, signal: NodeJS.Signals): Promise<Exit> {
  const isOver = child.exitCode !== null || child.signalCode !== null;
  if (isOver && !children.has(child)) {
    return Promise.resolve({ code: child.exitCode, signal: child.signalCode });
  }
  const ended = new Promise<Exit>((resolve) => {
    child.once('close', (code, by) => resolve({ code, signal: by }));
  });
  if (!isOver) child.kill(signal);
  return ended;
}

function readyPorts(
  child: ChildProcess,
  stderr: () => string,
): Promise<Readonly<Record<string, number>>> {
  return new Promise((resolve, reject) => {
    const guard = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`not ready within ${readyMsMax} ms; stderr:\n${stderr()}`));
    }, readyMsMax);
    child.once('message', (event: { event: string; ports?: object; message?: string }) => {
      clearTimeout(guard);
      if (event.event === 'ready') resolve(event.ports as Record<string, number>);
      else reject(new Error(event.message));
    });
    child.once('close', (code, signal) => {
      clearTimeout(guard);
      reject(new Error(`ended before it was ready (${signal ?? code}); stderr:\n${stderr()}`));
    });
  });
}
