/** What a spool counts, and what it is asked for when metrics are read. */
import type { Counter, Metrics } from '../base/metrics.ts';
import { UplinkBooks } from './lane-books.ts';

export interface SpoolCounters {
  readonly commits: Counter;
  readonly failures: Counter;
  readonly lost: Counter;
  readonly replayed: Counter;
  readonly books: UplinkBooks;
}

export function createSpoolCounters(
  metrics: Metrics,
  of: { readonly bytes: () => number; readonly backlog: () => number },
): SpoolCounters {
  metrics.gauge('trunkline_spool_bytes', 'Bytes of the spool on disk.', of.bytes);
  metrics.gauge(
    'trunkline_spool_backlog',
    'Spooled publications that the core has not made durable.',
    of.backlog,
  );
  return {
    books: new UplinkBooks(metrics),
    commits: metrics.counter('trunkline_spool_commits_total', 'Group commits of the spool.'),
    failures: metrics.counter(
      'trunkline_spool_failures_total',
      'Writes of the spool that failed and were tried again.',
    ),
    lost: metrics.counter(
      'trunkline_spool_lost_total',
      'Records of the spool that were found damaged at the start, and are lost.',
    ),
    replayed: metrics.counter(
      'trunkline_replayed_total',
      'Publications that the core had acknowledged, and lost: they go up again.',
    ),
  };
}
