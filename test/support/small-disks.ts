/**
 * Folders whose disk can be made full at any moment, for processes of a test: each is a tmpfs that is
 * shrunk to what it holds. They are mounted in a mount namespace of their own, so nothing of it is
 * seen, or left behind, outside. Needs `unshare` and `nsenter` (util-linux), and root or user namespaces.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { statfs } from 'node:fs/promises';
import { promisify } from 'node:util';
import { temporaryFolder } from './processes.ts';
import { until } from './until.ts';

const run = promisify(execFile);
const isRoot = process.getuid?.() === 0;
const roomy = '4g';

export class SmallDisks {
  readonly #holder: ChildProcess;

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
  }

  /** Rejects with a sentence where nothing can be mounted. */
  static async open(): Promise<SmallDisks> {
    const user = isRoot ? [] : ['--map-root-user'];
    // Ends with its input, so also when this process is killed.
    const script = 'echo ready && read _';
    const holder = spawn('unshare', ['--mount', ...user, 'sh', '-c', script], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const failed = once(holder, 'exit').then(() => 'failed', String);
    const ready = once(holder.stdout, 'data').then(() => 'ready');
    if ((await Promise.race([failed, ready])) !== 'ready') {
      throw new Error('No mount namespace: run as root, or allow user namespaces to this user.');
    }
    return new SmallDisks(holder);
  }

  /** What goes in front of a program for it to see the folders. */
  get within(): readonly string[] {
    const user = isRoot ? [] : ['--user', '--preserve-credentials'];
    return ['nsenter', '--target', String(this.#holder.pid), '--mount', ...user, '--'];
  }

  /** A new folder with room. */
  async folder(): Promise<string> {
    const folder = temporaryFolder();
    await this.#mount(['-t', 'tmpfs', '-o', `size=${roomy}`, 'tmpfs', folder]);
    return folder;
  }

  /** From now on so much more can be written, more or less. */
  async fill(folder: string, bytesLeft: number): Promise<void> {
    await until(async () => {
      const { blocks, bfree, bsize } = await statfs(`/proc/${this.#holder.pid}/root${folder}`);
      const bytes = (blocks - bfree) * bsize + bytesLeft;
      const size = `${Math.ceil(bytes / 1024) + 4}k`;
      // Refused when more was written meanwhile.
      return await this.#mount(['-o', `remount,size=${size}`, folder]).then(
        () => true,
        () => false,
      );
    }, 'the disk is full');
  }

  async free(folder: string): Promise<void> {
    await this.#mount(['-o', `remount,size=${roomy}`, folder]);
  }

  async close(): Promise<void> {
    const ended = once(this.#holder, 'exit');
    this.#holder.stdin?.end();
    await ended;
  }

  async #mount(args: readonly string[]): Promise<void> {
    const [program, ...rest] = this.within;
    await run(program as string, [...rest, 'mount', ...args]);
  }
}
