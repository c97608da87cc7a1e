/**
 * How far the log has what each lane of each edge sent. One table for the whole log tells up to where
 * it has everything; one for each lane of the log, by which a repeat is known, moves with that lane's
 * own messages alone, so that every core that reads them comes to the same.
 */
import type { SourceLane } from '../../../base/source.ts';

export interface SourceMark {
  readonly origin: string;
  readonly epoch: string;
  readonly lane: number;
  readonly through: number;
  /** The log has everything up to here, in all of its lanes. */
  readonly whole?: number;
}

export interface Waiter {
  readonly through: number;
  readonly done: () => void;
  /** It is waited for no more: the log was begun anew, or the edge's spool was. */
  readonly lost: () => void;
}

interface Progress {
  readonly source: SourceLane;
  /** The log has everything up to here. */
  through: number;
  /** What it has beyond, in order: first and last of each stretch. */
  ahead: [number, number][];
  /** Who waits for which sequence, in order. */
  waiting: Waiter[];
}

export class SourceMarks {
  readonly #progress = new Map<string, Progress>();
  /** The epochs of each edge, the newest last. */
  readonly #epochs = new Map<string, Set<string>>();

  through(source: SourceLane): number | undefined {
    return this.#progress.get(keyOf(source))?.through;
  }

  epochOf(origin: string): string | null {
    return [...(this.#epochs.get(origin) ?? [])].at(-1) ?? null;
  }

  /** There is nothing to wait for up to here. */
  raise(source: SourceLane, through: number): void {
    const progress = this.#of(source);
    if (through <= progress.through) return;
    progress.through = through;
    this.#settle(progress);
  }

  /** The log has these. */
  add(source: SourceLane, first: number, last: number): void {
    const progress = this.#of(source);
    if (last <= progress.through) return;
    if (first <= progress.through + 1) progress.through = last;
    else progress.ahead.push([first, last]);
    this.#settle(progress);
  }

  /** Calls back as soon as the log has everything up to `through`; may be at once. */
  whenThrough(source: SourceLane, waiter: Waiter): void {
    const progress = this.#of(source);
    if (progress.through >= waiter.through) waiter.done();
    else progress.waiting.push(waiter);
  }

  clear(): void {
    const left = [...this.#progress.values()].flatMap(({ waiting }) => waiting);
    this.#progress.clear();
    this.#epochs.clear();
    for (const { lost } of left) lost();
  }

  #of(source: SourceLane): Progress {
    const key = keyOf(source);
    let progress = this.#progress.get(key);
    if (progress === undefined) {
      this.#forgetOlder(source);
      progress = { source, through: 0, ahead: [], waiting: [] };
      this.#progress.set(key, progress);
    }
    return progress;
  }

  #settle(progress: Progress): void {
    if (progress.ahead.length > 0) {
      progress.ahead.sort(([a], [b]) => a - b);
      for (const [first, last] of progress.ahead) {
        if (first <= progress.through + 1) progress.through = Math.max(progress.through, last);
      }
      progress.ahead = progress.ahead.filter(([, last]) => last > progress.through);
    }
    if (progress.waiting.length === 0) return;
    const due = progress.waiting.filter(({ through }) => through <= progress.through);
    progress.waiting = progress.waiting.filter(({ through }) => through > progress.through);
    for (const { done } of due) done();
  }

  /** An edge that writes with a new spool no longer has the one before the last. */
  #forgetOlder({ origin, epoch }: SourceLane): void {
    const epochs = this.#epochs.get(origin) ?? new Set();
    this.#epochs.set(origin, epochs);
    epochs.delete(epoch);
    epochs.add(epoch);
    if (epochs.size <= 2) return;
    const [oldest] = epochs;
    epochs.delete(oldest as string);
    for (const [key, { source, waiting }] of this.#progress) {
      if (source.origin !== origin || source.epoch !== oldest) continue;
      this.#progress.delete(key);
      for (const { lost } of waiting) lost();
    }
  }
}

/** A NUL stands in no identifier that the trunk lets in. */
export function keyOf({ origin, epoch, lane }: SourceLane): string {
  return `${origin}\0${epoch}\0${lane}`;
}
