/**
 * The books of a process: every publication accepted must end in exactly one counted place for
 * each session that wanted it. Reasons are stable words; they are label values of the metrics.
 */
import type { Counter, CounterFamily, Metrics } from './metrics.ts';

/** Why a publication was refused at the door: the sender was told, or its connection closed. */
export type RefusedReason =
  | 'topic-invalid'
  | 'not-authorized'
  | 'too-large'
  | 'malformed'
  | 'spool-full'
  | 'overloaded';

/** Why an accepted publication did not reach one of its sessions or links. */
export type DroppedReason =
  | 'queue-full'
  | 'slow-reader'
  | 'offline-qos0'
  | 'link-down-qos0'
  | 'link-full-qos0'
  | 'session-ended'
  | 'log-retention'
  | 'expired'
  | 'packet-too-large'
  | 'hop-limit'
  | 'not-authorized'
  | 'gateway-slow';

/** Why a retained message is not kept, though its topic has no newer one. Its deliveries are counted
 * by themselves. */
export type RetainedLossReason = 'full' | 'expired';

export class Ledger {
  readonly #refused: CounterFamily;
  readonly #dropped: CounterFamily;
  readonly #retainedLost: CounterFamily;
  /** Publications taken in from devices or gateways, by QoS. */
  readonly accepted: readonly [Counter, Counter, Counter];
  /** Deliveries completed: written (QoS 0) or acknowledged (QoS 1 and 2), by QoS of the delivery. */
  readonly delivered: readonly [Counter, Counter, Counter];
  /** Publications taken in that nobody here wanted at that moment. */
  readonly unclaimed: Counter;
  /** Publications that went up the trunk, and that came down. */
  readonly uplinked: Counter;
  readonly downlinked: Counter;
  /** Copies of what was seen before, recognised and not passed on. */
  readonly repeats: Counter;

  constructor(metrics: Metrics) {
    this.#refused = metrics.counters(
      'trunkline_refused_total',
      'Publications refused, by reason.',
      'reason',
    );
    this.#dropped = metrics.counters(
      'trunkline_dropped_total',
      'Deliveries dropped, by policy.',
      'reason',
    );
    this.#retainedLost = metrics.counters(
      'trunkline_retained_dropped_total',
      'Retained messages that are not kept, by reason.',
      'reason',
    );
    const byQos = (name: string, help: string) =>
      [0, 1, 2].map((qos) =>
        metrics.counter(name, help, { qos: String(qos) }),
      ) as unknown as readonly [Counter, Counter, Counter];
    this.accepted = byQos('trunkline_accepted_total', 'Publications accepted, by QoS.');
    this.delivered = byQos('trunkline_delivered_total', 'Deliveries completed, by QoS.');
    this.unclaimed = metrics.counter(
      'trunkline_unclaimed_total',
      'Publications accepted that no session here wanted.',
    );
    this.uplinked = metrics.counter('trunkline_uplinked_total', 'Publications sent up the trunk.');
    this.downlinked = metrics.counter(
      'trunkline_downlinked_total',
      'Publications that came down the trunk.',
    );
    this.repeats = metrics.counter(
      'trunkline_repeats_total',
      'Repeats recognised and not passed on.',
    );
  }

  refused(reason: RefusedReason, count = 1): void {
    this.#refused.by(reason).add(count);
  }

  dropped(reason: DroppedReason, count = 1): void {
    this.#dropped.by(reason).add(count);
  }

  retainedLost(reason: RetainedLossReason): void {
    this.#retainedLost.by(reason).add();
  }

  get acceptedCount(): number {
    return sum(this.accepted);
  }

  get deliveredCount(): number {
    return sum(this.delivered);
  }

  get droppedCount(): number {
    return this.#dropped.sum;
  }
}

function sum(counters: readonly Counter[]): number {
  return counters.reduce((total, counter) => total + counter.value, 0);
}
