/**
 * Moves a watch's events into a stream at the pace of its reader. Changes arrive in bursts, so
 * writing waits for the end of the turn.
 */
import type { WatchSessionsResponse } from '../../proto/gen/trunkline/v1/fleet.ts';
import type { SessionWatch } from './session-watch.ts';

export interface WatchStream {
  /** False when the reader is behind. */
  write(event: WatchSessionsResponse): boolean;
  /** Calls once, when the reader has caught up. */
  onceDrained(resume: () => void): void;
}

/** Ends by itself when the watch ends. */
export function pumpWatch(watch: SessionWatch, stream: WatchStream): void {
  let state: 'idle' | 'scheduled' | 'blocked' = 'idle';
  const run = () => {
    state = 'idle';
    for (let event = watch.next(); event !== null; event = watch.next()) {
      if (stream.write(event)) continue;
      state = 'blocked';
      stream.onceDrained(run);
      return;
    }
  };
  const schedule = () => {
    if (state !== 'idle') return;
    state = 'scheduled';
    setImmediate(run);
  };
  watch.onReadable(schedule);
  schedule();
}
