/** Waits for what edges have sent, so that the last watermarks go out before the streams end. */
import type { Clock } from '../../base/clock.ts';
import type { Backplane } from '../backplane/backplane.ts';

/** What is not told by then is sent again. */
const settleMsMax = 1_000;

export async function settledWithin(clock: Clock, backplane: Backplane): Promise<void> {
  await new Promise<void>((resolve) => {
    const cancel = clock.after(settleMsMax, resolve);
    backplane.settled().then(() => {
      cancel();
      resolve();
    }, resolve);
  });
}
