/**
 * The load process: all devices of the bench in one child process, so that what they cost is told
 * apart from what the system costs. Takes jobs by IPC, one at a time, and answers each.
 */
import type { Job, JobReply, JobResult } from './jobs.ts';
import { measureLatency } from './latency.ts';
import { RawClient } from './raw-client.ts';
import { fillSpool } from './spool-load.ts';
import { measureThroughput } from './throughput.ts';

let held: RawClient[] = [];

process.on('message', (job: Job) => {
  perform(job).then(
    (result) => reply({ result }),
    (error: unknown) => reply({ fault: error instanceof Error ? error.message : String(error) }),
  );
});

async function perform(job: Job): Promise<JobResult> {
  await Promise.all(held.map((client) => client.close()));
  held = [];
  switch (job.kind) {
    case 'throughput':
      return await measureThroughput(job);
    case 'latency':
      return await measureLatency(job);
    case 'hold':
      for (let i = 0; i < job.devices; i++) {
        const session = { clientId: `bench-held-${i}`, cleanSession: true };
        const client = await RawClient.open(job.port, session);
        held.push(client);
        await client.subscribe([`bench/held-${i}/commands`], 1);
      }
      return { kind: 'held' };
    case 'spool':
      await fillSpool(job);
      return { kind: 'spooled' };
  }
}

function reply(message: JobReply): void {
  process.send?.(message);
}
