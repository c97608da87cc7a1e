/**
 * Keeps the log within its bounds. Age gives way to an attached edge that still has to read;
 * the bound on bytes does not, and the edge counts what it missed.
 */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Counter, Metrics } from '../../base/metrics.ts';
import type { Backplane } from '../backplane/backplane.ts';

const trimMs = 5_000;

/** Commits wait for a step: measured, half a second for a GiB, so some milliseconds for this. */
const stepBytes = 16 * 1024 * 1024;

export interface LogTrimmerParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly backplane: Backplane;
}

export interface LogTrimmerOptions {
  readonly logBytes: number;
  readonly logSeconds: number;
  readonly readers: ReadonlySet<{ readThrough(lane: number): number }>;
}

export class LogTrimmer {
  readonly #parts: LogTrimmerParts;
  readonly #options: LogTrimmerOptions;
  readonly #failures: Counter;
  #stop: () => void = () => {};
  #trimming: Promise<void> | null = null;
  #isClosing = false;

  constructor(parts: LogTrimmerParts, options: LogTrimmerOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#failures = parts.metrics.counter(
      'trunkline_log_trim_failures_total',
      'Trims of the log that failed and are tried again.',
    );
  }

  start(): void {
    this.#stop = this.#parts.clock.every(trimMs, () => {
      this.#trimming ??= this.#trim();
    });
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#stop();
    await this.#trimming;
  }

  /** Never rejects: the log stays readable and writable when it can't be trimmed. */
  async #trim(): Promise<void> {
    const { backplane, clock, log } = this.#parts;
    const { logBytes, logSeconds, readers } = this.#options;
    try {
      const bounds = {
        bytesMax: logBytes,
        stepBytes,
        before: clock.now() - logSeconds * 1_000,
        readThrough: (lane: number) => {
          let lowest = Number.POSITIVE_INFINITY;
          for (const reader of readers) lowest = Math.min(lowest, reader.readThrough(lane));
          return lowest;
        },
      };
      let freed = 0;
      let step = stepBytes;
      while (step >= stepBytes && !this.#isClosing) {
        step = await backplane.trim(bounds);
        freed += step;
      }
      if (freed > 0) log.debug({ freed }, 'log trimmed');
    } catch (error) {
      this.#failures.add();
      log.error({ err: error }, 'log cannot be trimmed');
    } finally {
      this.#trimming = null;
    }
  }
}
