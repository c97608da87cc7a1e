/** What the lanes of an edge count of how they send. */
import type { Counter, Metrics } from '../base/metrics.ts';
import { createDeflateCounters, type DeflateCounters } from '../proto/deflate.ts';

export interface FlowCounters extends DeflateCounters {
  /** Publications read back from the spool, because their lane was behind. */
  readonly readBack: Counter;
}

export function createFlowCounters(metrics: Metrics): FlowCounters {
  return {
    ...createDeflateCounters(metrics),
    readBack: metrics.counter(
      'trunkline_spool_read_back_total',
      'Publications read back from the spool to go up, because their lane was behind.',
    ),
  };
}
