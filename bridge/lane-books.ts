/**
 * The edge's books of the trunk, by lane. Up: what was spooled is acknowledged or backlog. Down: what
 * was received is delivered, a repeat, a canary, or discarded because its link went first.
 */
import { uplinkLanesMax } from '../base/limits.ts';
import type { Counter, Metrics } from '../base/metrics.ts';

/** Counters of one name by lane, made when first asked for. */
export class LaneCounters {
  readonly #counters: (Counter | undefined)[] = new Array(uplinkLanesMax).fill(undefined);
  readonly #create: (lane: string) => Counter;

  constructor(metrics: Metrics, of: { readonly name: string; readonly help: string }) {
    this.#create = (lane) => metrics.counter(of.name, of.help, { lane });
  }

  of(lane: number): Counter {
    let counter = this.#counters[lane];
    if (counter === undefined) {
      counter = this.#create(String(lane));
      this.#counters[lane] = counter;
    }
    return counter;
  }

  /** 0 for a lane that nothing was counted on. */
  valueOf(lane: number): number {
    return this.#counters[lane]?.value ?? 0;
  }
}

export class UplinkBooks {
  /** Durable in the spool, and what an earlier run left to be acknowledged. */
  readonly spooled: LaneCounters;
  readonly acknowledged: LaneCounters;
  /** The core took its word back. */
  readonly withdrawn: LaneCounters;

  constructor(metrics: Metrics) {
    this.spooled = new LaneCounters(metrics, {
      name: 'trunkline_trunk_spooled_total',
      help: 'Publications for the core that are on disk, with those found at the start, by lane.',
    });
    this.acknowledged = new LaneCounters(metrics, {
      name: 'trunkline_trunk_acknowledged_total',
      help: 'Publications that the core has made durable, by lane.',
    });
    this.withdrawn = new LaneCounters(metrics, {
      name: 'trunkline_trunk_withdrawn_total',
      help: 'Publications that the core had acknowledged, and lost, by lane.',
    });
  }
}

export class DownlinkBooks {
  readonly received: LaneCounters;
  readonly delivered: LaneCounters;
  readonly repeats: LaneCounters;
  readonly canaries: LaneCounters;
  readonly discarded: LaneCounters;

  constructor(metrics: Metrics) {
    this.received = new LaneCounters(metrics, {
      name: 'trunkline_trunk_down_received_total',
      help: 'Publications that came down the trunk, by lane.',
    });
    this.delivered = new LaneCounters(metrics, {
      name: 'trunkline_trunk_down_delivered_total',
      help: 'Those of them that the broker took, by lane.',
    });
    this.repeats = new LaneCounters(metrics, {
      name: 'trunkline_trunk_down_repeats_total',
      help: 'Those of them that had come before, by lane.',
    });
    this.canaries = new LaneCounters(metrics, {
      name: 'trunkline_trunk_down_canaries_total',
      help: 'Canaries of this edge that came down, by lane.',
    });
    this.discarded = new LaneCounters(metrics, {
      name: 'trunkline_trunk_down_discarded_total',
      help: 'Those of them that the broker did not take before their link ended, by lane: QoS 0 is lost, all else comes again.',
    });
  }
}
