/** Connections that ended before the worker that owns them had them. */
import type { CounterFamily, Metrics } from '../../base/metrics.ts';

export function doorRefusals(metrics: Metrics): CounterFamily {
  return metrics.counters(
    'trunkline_door_refused_total',
    'Connections that ended before their worker had them, by reason.',
    'reason',
  );
}
