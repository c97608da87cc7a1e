/** What the edge's half of the trunk is given, what it is told to be, and what it tells of itself. */
import type { Clock } from '../base/clock.ts';
import type { Ledger } from '../base/ledger.ts';
import type { Logger } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import type { TlsSource } from '../base/tls/tls-identity.ts';
import type { CoreView } from './placement/placement.ts';
import type { UplinkLog } from './ports.ts';
import type { EdgeRules } from './rules/edge-rules.ts';

export interface BridgeParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly spool: UplinkLog;
  readonly rules: EdgeRules;
}

export interface BridgeOptions {
  readonly edgeId: string;
  readonly region: string;
  /** host:port, or host:port@region. */
  readonly cores: readonly string[];
  /** Between probes of several cores, on average; 0 for none. */
  readonly probeEveryMs?: number;
  /** Between canaries; 0 for none. */
  readonly canaryMs?: number;
  /** Messages a second of an outage's backlog; 0 for as fast as they go. */
  readonly replayRate?: number;
  /** Payloads go deflated where that pays. */
  readonly compresses?: boolean;
  readonly token: string;
  /** None: in plain. */
  readonly tls?: TlsSource | null;
  readonly softwareVersion: string;
}

export interface BridgeStatus {
  readonly connected: boolean;
  /** Address and name of the core; empty while there is none. */
  readonly core: string;
  readonly coreId: string;
  /** What is known of each core that may be used. */
  readonly candidates: readonly CoreView[];
  readonly roundTripUs: number;
  readonly backlog: number;
  readonly spoolBytes: number;
  readonly wantedFilters: number;
  /** Lanes that read the spool because they do not keep up. */
  readonly lanesBehind: number;
  /** Lanes on which no canary came back for too long. */
  readonly lanesUnproven: readonly number[];
}
