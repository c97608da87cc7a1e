/**
 * For work that runs beside its caller: a failure is reported to the one place that decides what a
 * broken part means for the process, and never becomes an unhandled rejection.
 */
import type { Logger } from './log.ts';

export interface Supervisor {
  /** Hands over a promise that nobody awaits. */
  watch(work: Promise<unknown>, name: string): void;
}

/** Logs the failure with its stack and tells `onFailure`, which usually ends the process. */
export function createSupervisor(log: Logger, onFailure: (name: string, error: unknown) => void) {
  const supervisor: Supervisor = {
    watch(work, name) {
      work.catch((error: unknown) => {
        log.fatal({ err: error, part: name }, 'part failed');
        onFailure(name, error);
      });
    },
  };
  return supervisor;
}
