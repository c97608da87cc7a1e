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

/** What is announced in one turn of the event loop: about 300 small messages, a millisecond. */
const announcedBytes = 32 * 1024;

export interface Queued {
  readonly sequence: number;
  readonly bytes: Buffer;
}

/** How far a commit may be put off so that more shares it. */
export interface CommitBounds {
  /** Milliseconds that it waits for more; 0 for not at all. */
  readonly lingerMs: number;
  /** Bytes that do not wait any longer; also about the most that one write carries. */
  readonly bytesMax: number;
}

const defaultBounds: CommitBounds = { lingerMs: 0, bytesMax: 4 * 1024 * 1024 };

/** Where nobody waits for a write, it can be put off. */
export const writtenBehind: CommitBounds = { lingerMs: 20, bytesMax: 1024 * 1024 };

export interface GroupCommitHooks<T extends Queued> {
  /** Makes the group durable or throws; after a failure `afresh` is true. */
  write(group: readonly T[], afresh: boolean): Promise<void>;
  /** These are durable: a group, or a part of one after the other. */
  committed(items: readonly T[]): void;
  failed(error: unknown): void;
}

export class GroupCommit<T extends Queued> {
  readonly #parts: { readonly log: Logger; readonly clock: Clock };
  readonly #bounds: CommitBounds;
  readonly #hooks: GroupCommitHooks<T>;
  #waiting: T[] = [];
  #waitingBytes = 0;
  #running: Promise<void> | null = null;
  #isClosing = false;
  #endLinger: () => void = () => {};
  readonly #watchers: (() => void)[] = [];

  constructor(
    parts: { log: Logger; clock: Clock; bounds?: CommitBounds | undefined },
    hooks: GroupCommitHooks<T>,
  ) {
    this.#parts = parts;
    this.#bounds = parts.bounds ?? defaultBounds;
    this.#hooks = hooks;
  }

  /** Bytes that are not durable yet. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  add(item: T): void {
    this.#waiting.push(item);
    this.#waitingBytes += item.bytes.length;
    if (this.#waitingBytes >= this.#bounds.bytesMax) this.#endLinger();
    this.#running ??= new Promise((resolve) => {
      setImmediate(() => resolve(this.#run()));
    });
  }

  /** Resolves when what waits has become durable as far as is asked, or nothing is written any more. */
  async until(isFar: () => boolean): Promise<void> {
    while (this.#running !== null && !isFar()) {
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  /** Resolves when everything is durable, or the disk has failed for too long. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#endLinger();
    await this.#running;
  }

  async #run(): Promise<void> {
    let failedAt: number | null = null;
    while (this.#waiting.length > 0) {
      if (failedAt === null) await this.#linger();
      const group = this.#takeGroup();
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
    this.#tellWatchers();
  }

  #tellWatchers(): void {
    for (const tell of this.#watchers.splice(0)) tell();
  }

  /** Resolves when the time is over or enough has gathered. */
  async #linger(): Promise<void> {
    const { lingerMs, bytesMax } = this.#bounds;
    if (lingerMs === 0 || this.#isClosing || this.#waitingBytes >= bytesMax) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.clock.after(lingerMs, resolve);
      this.#endLinger = () => {
        cancel();
        resolve();
      };
    });
    this.#endLinger = () => {};
  }

  /** All that waits, or about as many bytes of it as one write may carry. */
  #takeGroup(): T[] {
    const waiting = this.#waiting;
    let count = waiting.length;
    if (this.#waitingBytes > this.#bounds.bytesMax) {
      let bytes = 0;
      count = 0;
      while (count < waiting.length && bytes < this.#bounds.bytesMax) {
        bytes += (waiting[count++] as T).bytes.length;
      }
    }
    this.#waiting = waiting.slice(count);
    return count === waiting.length ? waiting : waiting.slice(0, count);
  }

  async #attempt(group: readonly T[], afresh: boolean): Promise<unknown> {
    try {
      await this.#hooks.write(group, afresh);
    } catch (error) {
      return error;
    }
    await this.#announce(group);
    return null;
  }

  /** What gathered while the disk was slow may take long to deal with: others have their turn in
   * between. */
  async #announce(group: readonly T[]): Promise<void> {
    for (let at = 0; at < group.length; ) {
      if (at > 0) await new Promise<void>((resolve) => setImmediate(resolve));
      const from = at;
      let bytes = 0;
      while (at < group.length && bytes < announcedBytes) bytes += (group[at++] as T).bytes.length;
      this.#waitingBytes -= bytes;
      this.#hooks.committed(from === 0 && at === group.length ? group : group.slice(from, at));
      this.#tellWatchers();
    }
  }
}
