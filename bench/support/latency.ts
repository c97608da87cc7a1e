/**
 * How long a message is under way from device to device at a low, fixed rate. Sending does not wait
 * for arrivals, so that a stall is seen by every message that it holds up.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { Fleet, type Publisher } from './fleet.ts';
import { type LatencyJob, type LatencyResult, latencyPublishers } from './jobs.ts';

export async function measureLatency(job: LatencyJob): Promise<LatencyResult> {
  const sentAt = new Map<Publisher, number[]>();
  const took: number[] = [];
  let isMeasured = false;
  const onReceived = (publisher: Publisher, number: number) => {
    const since = sentAt.get(publisher)?.[number];
    if (isMeasured && since !== undefined) took.push(performance.now() - since);
  };
  const shape = { publishers: latencyPublishers, subscribers: 1, keepsSession: false };
  const fleet = await Fleet.open(job, { ...shape, qos: job.qos }, { onReceived });
  for (const publisher of fleet.publishers) sentAt.set(publisher, []);
  const send = (count: number) => {
    const publisher = fleet.publishers[count % latencyPublishers] as Publisher;
    sentAt.get(publisher)?.push(performance.now());
    publisher.publish(1);
  };
  try {
    await pace(job.perSecond, job.warmUpMs, send);
    await fleet.settle();
    isMeasured = true;
    await pace(job.perSecond, job.measureMs, send);
    const books = await fleet.settle();
    took.sort((a, b) => a - b);
    return {
      kind: 'latency',
      ...books,
      p50: quantile(took, 0.5),
      p99: quantile(took, 0.99),
      p999: quantile(took, 0.999),
    };
  } finally {
    await fleet.close();
  }
}

/** Calls at even distances; calls that a late timer missed are made up for. */
async function pace(
  perSecond: number,
  forMs: number,
  call: (count: number) => void,
): Promise<void> {
  const start = performance.now();
  let count = 0;
  for (;;) {
    const elapsed = performance.now() - start;
    if (elapsed >= forMs) return;
    for (; count < (elapsed / 1000) * perSecond; count++) call(count);
    await wait(Math.max(0, (count / perSecond) * 1000 - (performance.now() - start)));
  }
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
