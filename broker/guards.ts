/** What stands before the broker: who is let in, when, and what is done when it becomes too much. */
import type { Config } from '../base/config.ts';
import type { Authenticator } from './auth/authenticator.ts';
import { Authentication } from './auth/configured.ts';
import { noEnhancedAuthenticate } from './authenticate.ts';
import { ConnectGate, type ConnectGateParts } from './connect-gate.ts';
import type { Connection } from './connection/connection.ts';
import type { DeviceBrokerParts } from './device-broker-parts.ts';
import { LimitBook } from './limit-book.ts';
import { MemoryWatch } from './memory-watch.ts';

export function joinGuards(
  parts: DeviceBrokerParts & { readonly registered: readonly Authenticator[] },
  config: Config,
  turnAway: ConnectGateParts<Connection>['turnAway'],
) {
  const { log, clock, metrics } = parts;
  const authentication = new Authentication({ log, clock, metrics }, config, {
    authenticators: [...(parts.authenticators ?? []), ...parts.registered],
    enhanced: parts.enhancedAuthenticate ?? noEnhancedAuthenticate,
  });
  const limitBook = new LimitBook({ log, clock, metrics });
  const memory = new MemoryWatch({ log, metrics }, config.limits.memory_bytes);
  const isShort = () => memory.pressure !== 'none';
  const gate = new ConnectGate<Connection>({ clock, limitBook, turnAway, isShort }, config.limits);
  metrics.gauge(
    'trunkline_connections_connecting',
    'Connections that have not been let in yet.',
    () => gate.connectingCount,
  );
  return { authentication, limitBook, memory, gate };
}
