/** What the door for edges needs, and how it is set. */
import type { Clock } from '../../base/clock.ts';
import type { Ledger } from '../../base/ledger.ts';
import type { Logger } from '../../base/log.ts';
import type { Metrics } from '../../base/metrics.ts';
import type { TlsSource } from '../../base/tls/tls-identity.ts';
import type { Backplane } from '../backplane/backplane.ts';
import type { FanOut } from '../fanout/fan-out.ts';
import type { Registry } from '../registry/registry.ts';
import type { SessionSink } from '../sessions/session-sink.ts';
import type { AttachedEdges } from './attached-edges.ts';
import type { Drain } from './drain.ts';

export interface TrunkDoorParts {
  readonly log: Logger;
  readonly ledger: Ledger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly backplane: Backplane;
  readonly fanout: FanOut;
  readonly sessions: SessionSink;
  readonly edges: AttachedEdges;
  readonly drain: Drain;
  /** Null, or left out, where there is none. */
  readonly registry?: Registry | null;
}

export interface TrunkDoorOptions {
  readonly host: string;
  readonly port: number;
  /** Empty: every edge is let in. */
  readonly token: string;
  /** None: in plain. With authorities, an edge has to have a certificate of its name. */
  readonly tls?: TlsSource | null;
  readonly coreId: string;
  readonly region: string;
  /** Edges that may attach in a second, and at once after a quiet time. */
  readonly attachRate: number;
  readonly attachBurst: number;
  readonly softwareVersion: string;
  /** Told to every edge; the default is the one of base/limits.ts. */
  readonly heartbeatMs?: number;
}
