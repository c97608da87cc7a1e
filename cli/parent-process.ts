/** What a command tells the process that started it with an IPC channel: `trunkline up`, or a test. */
import { TrunklineError } from '../base/errors.ts';

export type TierEvent =
  | { readonly event: 'ready'; readonly ports: Readonly<Record<string, number>> }
  | { readonly event: 'failed'; readonly message: string };

/** Resolves when the message has left; a parent that is gone is noticed as a stop, not here. */
export async function tellParent(event: TierEvent): Promise<void> {
  await new Promise<void>((resolve) => {
    if (process.send === undefined || !process.connected) resolve();
    else process.send(event, undefined, undefined, () => resolve());
  });
}

/** Runs a command; with a parent, an operating error becomes its `failed` event, for it to show. */
export async function underParent(run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (error) {
    if (!process.connected || !(error instanceof TrunklineError)) throw error;
    await tellParent({ event: 'failed', message: error.message });
    return 1;
  } finally {
    if (process.connected) process.disconnect();
  }
}
