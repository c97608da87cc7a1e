/**
 * One fdatasync for everything that waits. A commit starts when the turn's other sockets have been
 * read, takes all that was queued, and while it runs the next one gathers.
 *
 * When the disk fails, what was not durable stays queued and is written again, every second, until
 * it succeeds. Nothing is announced before that.
 */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';

const retryMs = 1_000;

/** Once closing, a disk that still fails is given up after this time. */
const giveUpMs = 3_000;

export interface Queued {
  readonly sequence: number;
  readonly bytes: Buffer;
}

export interface GroupCommitHooks<T extends Queued> {
  /** Makes the group durable or throws; after a failure `afresh` is true. */
  write(group: readonly T[], afresh: boolean): Promise<void>;
  /** The group is durable. */
  committed(group: readonly T[]): void;
  failed(error: unknown): void;
}

export class GroupCommit<T extends Queued> {
  readonly #parts: { readonly log: Logger; readonly clock: Clock };
  readonly #hooks: GroupCommitHooks<T>;
  #waiting: T[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | null = null;
  #isClosing = false;

  constructor(parts: { log: Logger; clock: Clock }, hooks: GroupCommitHooks<T>) {
    this.#parts = parts;
    this.#hooks = hooks;
  }

  /** Bytes that are not durable yet. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  add(item: T): void {
    this.#waiting.push(item);
    this.#waitingBytes += item.bytes.length;
    this.#running ??= new Promise((resolve) => {
      setImmediate(() => resolve(this.#run()));
    });
  }

  /** Resolves when everything is durable, or the disk has failed for too long. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    let failedAt: number | null = null;
    while (this.#waiting.length > 0) {
      const group = this.#waiting;
      this.#waiting = [];
      const error = await this.#attempt(group, failedAt !== null);
      if (error === null) {
        if (failedAt !== null) this.#parts.log.info({ count: group.length }, 'spool writes again');
        failedAt = null;
        continue;
      }
      this.#waiting = [...group, ...this.#waiting];
      failedAt ??= this.#parts.clock.elapsed();
      this.#hooks.failed(error);
      if (this.#isClosing && this.#parts.clock.elapsed() - failedAt > giveUpMs) break;
      await new Promise<void>((resolve) => this.#parts.clock.after(retryMs, resolve));
    }
    this.#running = null;
  }

  async #attempt(group: readonly T[], afresh: boolean): Promise<unknown> {
    try {
      await this.#hooks.write(group, afresh);
    } catch (error) {
      return error;
    }
    for (const item of group) this.#waitingBytes -= item.bytes.length;
    this.#hooks.committed(group);
    return null;
  }
}
