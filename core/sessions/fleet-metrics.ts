/** What the index shows of the fleet's size in the metrics. */
import type { Counter, Metrics } from '../../base/metrics.ts';

export interface FleetSizes {
  sessions(): number;
  edges(isConnected: boolean): number;
}

/** Answers the counter of changes. */
export function openFleetMetrics(metrics: Metrics, sizes: FleetSizes): Counter {
  metrics.gauge('trunkline_fleet_sessions', 'Sessions listed, connected or kept.', () =>
    sizes.sessions(),
  );
  for (const state of ['connected', 'away'] as const) {
    const about = 'Edges known to this core, by state.';
    const count = () => sizes.edges(state === 'connected');
    metrics.gauge('trunkline_fleet_edges', about, count, { state });
  }
  return metrics.counter(
    'trunkline_fleet_session_changes_total',
    'Changes of sessions that the index took in.',
  );
}
