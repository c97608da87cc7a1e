/** What the broker holds now, as gauges. */
import type { Metrics } from '../base/metrics.ts';
import type { Parking } from './parking.ts';
import type { Retained } from './routing/retained.ts';
import type { Router } from './routing/router.ts';
import type { Sessions } from './sessions.ts';

export interface GaugeSources {
  readonly sessions: Sessions;
  readonly router: Router;
  readonly retained: Retained;
  readonly parking: Parking;
  readonly connectionCount: () => number;
}

export function registerGauges(metrics: Metrics, sources: GaugeSources): void {
  const { sessions, router, retained, parking, connectionCount } = sources;
  const queued = () => {
    let count = 0;
    for (const session of sessions) count += session.outbox.queuedCount;
    return count;
  };
  metrics.gauge('trunkline_connections', 'Connections of devices now.', connectionCount);
  metrics.gauge('trunkline_sessions', 'Sessions, connected and kept.', () => sessions.count);
  metrics.gauge('trunkline_subscriptions', 'Subscriptions.', () => router.subscriptionCount);
  metrics.gauge('trunkline_retained_messages', 'Retained messages.', () => retained.count);
  metrics.gauge('trunkline_queued_messages', 'Messages that wait for a session.', queued);
  metrics.gauge(
    'trunkline_parked_messages',
    'Messages for sessions that stay away, moved out of the spool.',
    () => parking.count,
  );
}
