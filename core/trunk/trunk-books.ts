/**
 * The core's books of what comes up the trunk with a sequence: received is logged, repeated or
 * refused, for each lane of each edge.
 */
import { edgesBookedMax } from '../../base/limits.ts';
import type { Counter, Metrics } from '../../base/metrics.ts';

/** Why what came was neither logged nor known. The edge sends it again. */
export type UplinkRefusal = 'gap' | 'over-credit' | 'log-failing';

/** Stands for the edges that are too many to be told apart. */
const others = 'others';

const counted = {
  received: {
    name: 'trunkline_trunk_up_received_total',
    help: 'Publications with a sequence that came up the trunk, by edge and lane.',
  },
  logged: {
    name: 'trunkline_trunk_up_logged_total',
    help: 'Those of them that were new, and went into the log, by edge and lane.',
  },
  repeated: {
    name: 'trunkline_trunk_up_repeated_total',
    help: 'Those of them that the log had before, by edge and lane.',
  },
  refused: {
    name: 'trunkline_trunk_up_refused_total',
    help: 'Those of them that were refused and come again, by edge, lane and reason.',
  },
} as const;

export class LaneBook {
  readonly received: Counter;
  readonly logged: Counter;
  readonly repeated: Counter;
  readonly #refused = new Map<UplinkRefusal, Counter>();
  readonly #counter: (what: keyof typeof counted, more?: Record<string, string>) => Counter;

  constructor(metrics: Metrics, of: { readonly edge: string; readonly lane: number }) {
    const labels = { edge: of.edge, lane: String(of.lane) };
    this.#counter = (what, more = {}) => {
      const { name, help } = counted[what];
      return metrics.counter(name, help, { ...labels, ...more });
    };
    this.received = this.#counter('received');
    this.logged = this.#counter('logged');
    this.repeated = this.#counter('repeated');
  }

  refused(reason: UplinkRefusal, count: number): void {
    let counter = this.#refused.get(reason);
    if (counter === undefined) {
      counter = this.#counter('refused', { reason });
      this.#refused.set(reason, counter);
    }
    counter.add(count);
  }
}

export class TrunkBooks {
  readonly #metrics: Metrics;
  readonly #edges = new Map<string, Map<number, LaneBook>>();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  of(edgeId: string, lane: number): LaneBook {
    const isBooked = this.#edges.has(edgeId) || this.#edges.size < edgesBookedMax;
    const edge = isBooked ? edgeId : others;
    let lanes = this.#edges.get(edge);
    if (lanes === undefined) {
      lanes = new Map();
      this.#edges.set(edge, lanes);
    }
    let book = lanes.get(lane);
    if (book === undefined) {
      book = new LaneBook(this.#metrics, { edge, lane });
      lanes.set(lane, book);
    }
    return book;
  }
}
