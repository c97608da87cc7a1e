/** The counters of the trunk at the core. */
import type { Counter, Metrics } from '../../base/metrics.ts';
import { createDeflateCounters, type DeflateCounters } from '../../proto/deflate.ts';
import { TrunkBooks } from './trunk-books.ts';

export interface TrunkCounters extends DeflateCounters {
  readonly batchesRefused: Counter;
  readonly laneGaps: Counter;
  readonly edgesReplaced: Counter;
  readonly streamsRefused: Counter;
  readonly streamsDead: Counter;
  readonly lanesStuck: Counter;
  readonly books: TrunkBooks;
}

export function createTrunkCounters(metrics: Metrics): TrunkCounters {
  return {
    ...createDeflateCounters(metrics),
    books: new TrunkBooks(metrics),
    batchesRefused: metrics.counter(
      'trunkline_batches_refused_total',
      'Batches refused because their columns disagree or name what is not there.',
    ),
    laneGaps: metrics.counter(
      'trunkline_lane_gaps_total',
      'Batches refused because sequences before them are missing.',
    ),
    edgesReplaced: metrics.counter(
      'trunkline_edges_replaced_total',
      'Control streams that another one of the same edge replaced.',
    ),
    streamsRefused: metrics.counter(
      'trunkline_streams_refused_total',
      'Streams refused for a missing token, hello or open.',
    ),
    streamsDead: metrics.counter(
      'trunkline_streams_dead_total',
      'Streams ended because their edge had fallen silent.',
    ),
    lanesStuck: metrics.counter(
      'trunkline_lanes_stuck_total',
      'Lanes ended because nothing went out of them for too long.',
    ),
  };
}
