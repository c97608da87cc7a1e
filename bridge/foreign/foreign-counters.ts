/** The books of one foreign bridge. */
import type { Counter, Metrics } from '../../base/metrics.ts';

/** Why a publication was not handed over: no rule lets it go (any more), it went round too often,
 * this edge takes no packet so large, or the other side refused it. */
export type ForeignDropped = 'unmapped' | 'hop-limit' | 'too-large' | 'refused';

export class ForeignCounters {
  /** Taken by the other broker: with QoS 1 and 2, acknowledged by it. */
  readonly sent: Counter;
  /** Taken by this edge from the other broker. */
  readonly received: Counter;
  readonly #dropped: (reason: ForeignDropped) => Counter;

  constructor(metrics: Metrics, bridge: string) {
    this.sent = metrics.counter(
      'trunkline_foreign_sent_total',
      'Publications that a foreign broker took, by bridge.',
      { bridge },
    );
    this.received = metrics.counter(
      'trunkline_foreign_received_total',
      'Publications that came from a foreign broker, by bridge.',
      { bridge },
    );
    const counters = new Map<ForeignDropped, Counter>();
    for (const reason of ['unmapped', 'hop-limit', 'too-large', 'refused'] as const) {
      const help = 'Publications that a foreign bridge did not hand over, by bridge and reason.';
      const labels = { bridge, reason };
      counters.set(reason, metrics.counter('trunkline_foreign_dropped_total', help, labels));
    }
    this.#dropped = (reason) => counters.get(reason) as Counter;
  }

  dropped(reason: ForeignDropped): void {
    this.#dropped(reason).add();
  }
}
