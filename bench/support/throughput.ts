/**
 * How many messages a second a path carries without loss: every publisher keeps a fixed number of
 * messages under way, and the next one leaves when an earlier one has arrived at the far device.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { Fleet, type Publisher } from './fleet.ts';
import {
  publishers,
  subscribers,
  type ThroughputJob,
  type ThroughputResult,
  unackedMax,
  unreceivedMax,
} from './jobs.ts';
import { cpuSeconds, machineCpuSeconds } from './process-stat.ts';

export async function measureThroughput(job: ThroughputJob): Promise<ThroughputResult> {
  const { qos, keepsSession } = job;
  let isSending = false;
  let isDue = false;
  const fill = () => {
    isDue = false;
    if (!isSending) return;
    for (const publisher of fleet.publishers) {
      const room = roomOf(publisher, qos);
      if (room > 0) publisher.publish(room);
    }
  };
  const onTurn = () => {
    if (isDue || !isSending) return;
    isDue = true;
    setImmediate(fill);
  };
  const options = { qos, keepsSession, publishers, subscribers };
  const fleet = await Fleet.open(job, options, { onTurn });
  try {
    isSending = true;
    fill();
    await wait(job.warmUpMs);
    const before = sample(fleet, job);
    await wait(job.measureMs);
    const after = sample(fleet, job);
    isSending = false;
    return { kind: 'throughput', ...(await fleet.settle()), ...difference(before, after) };
  } finally {
    await fleet.close();
  }
}

function roomOf(publisher: Publisher, qos: 0 | 1): number {
  const room = unreceivedMax - (publisher.sent - publisher.received);
  return qos === 0 ? room : Math.min(room, unackedMax - (publisher.sent - publisher.acked));
}

interface Sample {
  readonly at: number;
  readonly received: number;
  readonly cpu: ReadonlyMap<string, number>;
  readonly machineCpu: number;
}

function sample(fleet: Fleet, job: ThroughputJob): Sample {
  const pids = new Map([...Object.entries(job.pids), ['load', process.pid] as const]);
  return {
    at: performance.now(),
    received: fleet.received,
    cpu: new Map([...pids].map(([name, pid]) => [name, cpuSeconds(pid)])),
    machineCpu: machineCpuSeconds(),
  };
}

function difference(
  before: Sample,
  after: Sample,
): Pick<ThroughputResult, 'perSecond' | 'cpuPerMillion' | 'otherCores'> {
  const received = after.received - before.received;
  const elapsed = (after.at - before.at) / 1000;
  const used = [...after.cpu].map(
    ([name, cpu]) => [name, cpu - (before.cpu.get(name) ?? 0)] as const,
  );
  const own = used.reduce((sum, [, seconds]) => sum + seconds, 0);
  return {
    perSecond: received / elapsed,
    cpuPerMillion: Object.fromEntries(
      used.map(([name, seconds]) => [name, (seconds / received) * 1e6]),
    ),
    // The two clocks are read one after the other: a little below zero means nothing else ran.
    otherCores: Math.max(0, (after.machineCpu - before.machineCpu - own) / elapsed),
  };
}
