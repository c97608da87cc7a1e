/**
 * The disk of this process as a test wants it: every fdatasync may be held, take a while or fail.
 * Nothing else is changed: what is written is written. Preloaded into a child process
 * (`slowDiskEnvironment`), it draws a delay for each fdatasync.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { Random } from './random.ts';

type Datasync = (this: FileHandle) => Promise<void>;

const handle = await open(process.execPath, 'r');
const prototype = Object.getPrototypeOf(handle) as { datasync: Datasync };
await handle.close();
const datasync = prototype.datasync;

let delayMs = () => 0;
let failures = 0;
let held: Promise<void> | null = null;

function takeHold(): void {
  prototype.datasync = async function slowed(this: FileHandle) {
    await held;
    const ms = delayMs();
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
    if (failures > 0) {
      failures--;
      throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
    }
    await datasync.call(this);
  };
}

export const slowDisk = {
  /** From now on no fdatasync ends before the answer is called. */
  hold(): () => void {
    takeHold();
    let release = () => {};
    held = new Promise((resolve) => {
      release = resolve;
    });
    return () => {
      held = null;
      release();
    };
  },
  delay(ms: number): void {
    takeHold();
    delayMs = () => ms;
  },
  failOnce(): void {
    takeHold();
    failures = 1;
  },
  /** The disk as it was. */
  restore(): void {
    prototype.datasync = datasync;
    delayMs = () => 0;
    failures = 0;
    held = null;
  },
};

/** For a child process: every fdatasync takes up to so many milliseconds. */
export function slowDiskEnvironment(seed: number, msMax: number): Record<string, string> {
  return { NODE_OPTIONS: `--import=${import.meta.url}`, SLOW_DISK: `${seed}:${msMax}` };
}

const ordered = process.env['SLOW_DISK']?.split(':').map(Number);
if (ordered !== undefined) {
  const random = new Random(ordered[0] as number);
  takeHold();
  delayMs = () => (random.chance(0.5) ? 0 : random.below(ordered[1] as number));
}
