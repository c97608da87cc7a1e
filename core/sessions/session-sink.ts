/**
 * What tells the core about sessions and edges: the trunk's control streams and the front door.
 * All calls are synchronous and cheap.
 */

import type { Session, SessionEvent } from '../../proto/gen/trunkline/v1/session.ts';
import type { EdgeStats } from '../../proto/gen/trunkline/v1/trunk.ts';

export interface EdgeHello {
  readonly edgeId: string;
  readonly region: string;
  readonly softwareVersion: string;
}

export interface SessionSink {
  edgeAttached(hello: EdgeHello): void;
  /** Its sessions stay listed, and its answers are marked incomplete, until it returns. */
  edgeDetached(edgeId: string): void;
  edgeStats(edgeId: string, stats: EdgeStats): void;
  edgeInterest(edgeId: string, filterCount: number): void;
  /** Between begin and end, sessions of the edge that were not upserted are removed at the end. */
  snapshotBegin(edgeId: string): void;
  snapshotEnd(edgeId: string): void;
  upsert(edgeId: string, sessions: readonly Session[]): void;
  remove(edgeId: string, clientIds: readonly string[]): void;
  happened(edgeId: string, events: readonly SessionEvent[]): void;
}
