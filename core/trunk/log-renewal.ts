/** A log that was put back from an old copy gives its positions out a second time: it takes a new
 * epoch as soon as an edge shows that it has had more of it than there is. */
import type { Logger } from '../../base/log.ts';
import type { LaneOpen } from '../../proto/gen/trunkline/v1/trunk.ts';
import type { Backplane } from '../backplane/backplane.ts';

interface LogRenewalParts {
  readonly backplane: Backplane;
  readonly log: Logger;
}

export class LogRenewal {
  readonly #parts: LogRenewalParts;
  readonly #waiting: (() => void)[] = [];
  #running: Promise<void> | null = null;

  constructor(parts: LogRenewalParts) {
    this.#parts = parts;
  }

  isAhead({ lane, logEpoch, position }: LaneOpen): boolean {
    const { backplane } = this.#parts;
    return logEpoch === backplane.logEpoch && position > backplane.head(lane);
  }

  /** Others may come later, when the log is as long as they knew it: what was written there since would
   * be passed over. So every edge begins anew, and takes what it had not. `again` is called, whatever
   * came of it, when this one may come again. */
  begin({ edgeId: edge, lane, logEpoch, position }: LaneOpen, again: () => void): void {
    const { backplane, log } = this.#parts;
    const head = backplane.head(lane);
    log.error({ edge, lane, position, head }, 'edge is ahead of the log, which takes a new epoch');
    this.#waiting.push(again);
    this.#running ??= backplane
      .renewEpoch({ lane, logEpoch, position })
      .catch((error: unknown) => log.error({ err: error }, 'the log cannot take a new epoch'))
      .then(() => {
        this.#running = null;
        for (const waiting of this.#waiting.splice(0)) waiting();
      });
  }

  /** Resolves when nothing is being written. */
  async close(): Promise<void> {
    await this.#running;
  }
}
