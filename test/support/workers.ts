/** Edges with workers, and what tests ask of them. */
import { readFileSync } from 'node:fs';
import { ownerOf } from '../../cli/workers/owner.ts';
import { metric } from './fleet.ts';
import type { RunningProcess } from './processes.ts';
import { until } from './until.ts';

/** A client identifier that begins with `prefix` and belongs to the worker, of two. */
export function idOf(worker: number, prefix: string): string {
  for (let i = 0; ; i++) {
    const id = `${prefix}-${i}`;
    if (ownerOf(Buffer.from(id), 2) === worker) return id;
  }
}

export function connectionsOf(edge: RunningProcess, worker: number): Promise<number> {
  return metric(edge, `trunkline_connections{worker="${worker}"}`);
}

/** Waits until the workers have so many connections. */
export async function untilConnections(edge: RunningProcess, counts: readonly number[]) {
  await until(
    async () => {
      const found = await Promise.all(counts.map((_, index) => connectionsOf(edge, index + 1)));
      return found.every((count, index) => count === counts[index]);
    },
    `${counts.join(' and ')} connections`,
  );
}

/** Of the process that is the worker now. */
export function pidOf(edge: RunningProcess, worker: number): number {
  const lines = edge.stderr.split('\n').filter((line) => line.includes('"worker serves"'));
  const events = lines.map((line) => JSON.parse(line) as { worker: number; worker_pid: number });
  return events.findLast((event) => event.worker === worker)?.worker_pid ?? 0;
}

export function isAlive(pid: number): boolean {
  try {
    // The third field is the state; a zombie has ended.
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.startsWith('Z') === false;
  } catch {
    return false;
  }
}
