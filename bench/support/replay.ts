/**
 * What an outage's backlog does to live traffic: messages spooled while the core is away, then the
 * core comes, and what is live is timed before and while the backlog goes up.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { LatencyResult } from './jobs.ts';
import type { LoadProcess } from './load-process.ts';
import type { TrunklinePath } from './trunkline-path.ts';

const perSecond = 500;
const pollMs = 20;

/** Of one kind of live traffic. */
export interface ReplayTimes {
  readonly name: string;
  readonly before: LatencyResult;
  readonly during: LatencyResult;
}

export interface ReplayResult {
  readonly messages: number;
  /** From the core's return until the backlog was empty. */
  readonly seconds: number;
  readonly times: readonly ReplayTimes[];
  /** What was left when the last of the times was taken: above 0, or they are of a replay's end. */
  readonly leftAtEnd: number;
}

export async function measureReplay(
  path: TrunklinePath,
  load: LoadProcess,
  of: { readonly messages: number; readonly measureMs: number },
): Promise<ReplayResult> {
  const { pids, publishPort, subscribePort } = path;
  const kinds = [
    { name: 'QoS 0, edge to edge', qos: 0, subscribePort },
    { name: 'QoS 1, within the edge', qos: 1, subscribePort: publishPort },
  ] as const;
  const timed = (kind: (typeof kinds)[number]) =>
    load.latency({ ...kind, publishPort, pids, perSecond, warmUpMs: 500, measureMs: of.measureMs });
  const before: LatencyResult[] = [];
  for (const kind of kinds) before.push(await timed(kind));
  await path.stopCore();
  await load.spool({ port: publishPort, messages: of.messages });
  const backlog = await path.backlog();
  if (backlog < of.messages) throw new Error(`Only ${backlog} of ${of.messages} were spooled.`);
  await path.startCore();
  const start = performance.now();
  const during: LatencyResult[] = [];
  for (const kind of kinds) during.push(await timed(kind));
  const leftAtEnd = await path.backlog();
  while ((await path.backlog()) > 0) await wait(pollMs);
  return {
    messages: of.messages,
    seconds: (performance.now() - start) / 1000,
    times: kinds.map(({ name }, i) => ({
      name,
      before: before[i] as LatencyResult,
      during: during[i] as LatencyResult,
    })),
    leftAtEnd,
  };
}
