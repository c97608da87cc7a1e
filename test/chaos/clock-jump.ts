/**
 * Preloaded into a process of a test: its wall clock is off by what a file says, and follows it.
 * Time that only goes forward (`performance.now`, timers) is left alone, as a real jump leaves it.
 */
import { readFileSync } from 'node:fs';

const file = process.env['CLOCK_OFFSET_FILE'];
const RealDate = Date;
let offsetMs = 0;

if (file !== undefined) {
  setInterval(() => {
    try {
      offsetMs = Number(readFileSync(file, 'utf8'));
    } catch {
      // Not written yet: no jump so far.
    }
  }, 50).unref();
  globalThis.Date = class extends RealDate {
    constructor(...given: unknown[]) {
      if (given.length === 0) super(RealDate.now() + offsetMs);
      else super(...(given as [number]));
    }

    static override now(): number {
      return RealDate.now() + offsetMs;
    }
  } as DateConstructor;
}

/** For a child process: its clock follows the number of milliseconds in the file. */
export function clockEnvironment(offsetFile: string): Record<string, string> {
  return { NODE_OPTIONS: `--import=${import.meta.url}`, CLOCK_OFFSET_FILE: offsetFile };
}
