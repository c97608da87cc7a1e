/** What an edge's broker is given. */
import type { Clock } from '../base/clock.ts';
import type { Ledger } from '../base/ledger.ts';
import type { Logger } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import type { KnownDevices } from '../base/registered-device.ts';
import type { Rights } from '../base/rights/rights.ts';
import type { Authenticator } from './auth/authenticator.ts';
import type { EnhancedAuthenticate } from './authenticate.ts';
import type { MessageLog, SessionListener, Uplink } from './ports.ts';

export interface DeviceBrokerParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly messageLog: MessageLog;
  readonly uplink: Uplink;
  readonly sessionListener: SessionListener;
  /** Methods of enhanced authentication; none when it is left out. */
  readonly enhancedAuthenticate?: EnhancedAuthenticate;
  /** Asked before those that the configuration names. */
  readonly authenticators?: readonly Authenticator[];
  /** Those of the configuration, unless it is given. */
  readonly rights?: Rights;
  /** Devices of the registry, which may connect; none when it is left out. */
  readonly knownDevices?: KnownDevices;
  /** Names clients that leave it to the server. */
  readonly assignClientId?: () => string;
}
