/** What the bench asks of its load process, and what it hears back. */
import type { LoadQos } from './frames.ts';

/** A path to load: where devices publish, where others subscribe, and who works in between. */
export interface LoadPath {
  readonly publishPort: number;
  readonly subscribePort: number;
  /** Processes whose CPU time is to be told, by name. */
  readonly pids: Readonly<Record<string, number>>;
}

export interface ThroughputJob extends LoadPath {
  readonly kind: 'throughput';
  readonly qos: LoadQos;
  /** Subscribers connect with clean session 0. */
  readonly keepsSession: boolean;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface LatencyJob extends LoadPath {
  readonly kind: 'latency';
  readonly qos: LoadQos;
  readonly perSecond: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** Connects devices and keeps them until the next job. */
export interface HoldJob {
  readonly kind: 'hold';
  readonly port: number;
  readonly devices: number;
}

/** Publishes with QoS 1 on topics that nobody wants, until all is acknowledged. */
export interface SpoolJob {
  readonly kind: 'spool';
  readonly port: number;
  readonly messages: number;
}

export type Job = ThroughputJob | LatencyJob | HoldJob | SpoolJob;

/** Books of a whole load, warm-up and drain included. */
export interface Books {
  readonly sent: number;
  readonly lost: number;
  readonly reordered: number;
  readonly repeated: number;
}

export interface ThroughputResult extends Books {
  readonly kind: 'throughput';
  /** Messages received a second while it was measured. */
  readonly perSecond: number;
  /** CPU seconds of each process for a million messages, the load generator's own as `load`. */
  readonly cpuPerMillion: Readonly<Record<string, number>>;
  /** Cores that everything else on the machine took meanwhile. */
  readonly otherCores: number;
}

export interface LatencyResult extends Books {
  readonly kind: 'latency';
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

export type JobResult =
  | ThroughputResult
  | LatencyResult
  | { readonly kind: 'held' }
  | { readonly kind: 'spooled' };

export type JobReply = { readonly result: JobResult } | { readonly fault: string };

/** 64 bytes: a reading with its unit and time, as small telemetry is. */
export const payloadBytes = 64;
export const publishers = 20;
export const subscribers = 4;

/** Messages of one publisher that nobody has received yet, so that no queue on the way overflows. */
export const unreceivedMax = 256;

/** Publications of QoS 1 of one publisher that wait for PUBACK. */
export const unackedMax = 64;

/** Publishers of the latency load; each has its own topic. */
export const latencyPublishers = 10;
