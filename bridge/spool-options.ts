/** What a spool is opened with. */
import type { Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Metrics } from '../base/metrics.ts';
import type { CommitBounds } from './group-commit.ts';
import type { LaneMap } from './lane-map.ts';
import type { RetentionBounds } from './spool-retention.ts';

export interface SpoolParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

export interface SpoolOptions {
  readonly directory: string;
  /** Size on disk past which publishers pause. */
  readonly bytesMax: number;
  /** `disk`: durable when it is on disk. `memory`: taken for durable at once, written behind. */
  readonly durability?: 'disk' | 'memory';
  /** How long a commit waits for more to come, and the bytes past which it does not. */
  readonly commit?: CommitBounds;
  /** The lanes that topics go up on; as many as the core's log has when left out. */
  readonly laneMap?: LaneMap;
  /** How long, and how much of, what the core has acknowledged stays; not at all when left out. */
  readonly retain?: RetentionBounds;
}
