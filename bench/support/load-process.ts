/** The bench's side of the load process. */
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { messageFrom, startModule, stopChild } from './children.ts';
import type {
  HoldJob,
  Job,
  JobReply,
  JobResult,
  LatencyJob,
  LatencyResult,
  SpoolJob,
  ThroughputJob,
  ThroughputResult,
} from './jobs.ts';

const loadFile = fileURLToPath(new URL('./raw-load.js', import.meta.url));

export class LoadProcess {
  readonly #child: ChildProcess = startModule(loadFile, []);

  async throughput(job: Omit<ThroughputJob, 'kind'>): Promise<ThroughputResult> {
    return (await this.#perform({ kind: 'throughput', ...job })) as ThroughputResult;
  }

  async latency(job: Omit<LatencyJob, 'kind'>): Promise<LatencyResult> {
    return (await this.#perform({ kind: 'latency', ...job })) as LatencyResult;
  }

  async hold(job: Omit<HoldJob, 'kind'>): Promise<void> {
    await this.#perform({ kind: 'hold', ...job });
  }

  async spool(job: Omit<SpoolJob, 'kind'>): Promise<void> {
    await this.#perform({ kind: 'spool', ...job });
  }

  async close(): Promise<void> {
    await stopChild(this.#child);
  }

  async #perform(job: Job): Promise<JobResult> {
    const answer = messageFrom<JobReply>(this.#child, 'The load generator');
    this.#child.send(job);
    const reply = await answer;
    if ('fault' in reply) throw new Error(reply.fault);
    return reply.result;
  }
}
