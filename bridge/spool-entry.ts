/**
 * Between what the broker hands to the spool and the record that is written: decides what goes up,
 * and on which lane.
 */
import { isCanary } from '../base/canary.ts';
import type { Publication } from '../base/publication.ts';
import type { SourcePlace } from '../base/source.ts';
import type { Run } from '../proto/run.ts';
import type { LaneMap } from './lane-map.ts';
import type { SpoolRecord } from './spool-record.ts';
import type { RunRecord } from './spool-run.ts';

/** What comes in; the shape that the broker's port names. A run takes a sequence for each of its
 * publications. */
export type SpoolInput = SpoolEntry | CanaryInput | RunInput;

export interface RunInput {
  readonly kind: 'run';
  readonly run: Run;
  readonly clientId: string;
  /** Of its first publication; absent: from a device. */
  readonly source?: EntrySource;
}

/** The edge's own: it goes up the lane that it names, and nobody here is owed it. */
export interface CanaryInput {
  readonly kind: 'canary';
  readonly publication: Publication;
  readonly lane: number;
}

/** A publication or release, as it is read back. */
export type SpoolEntry =
  | {
      readonly kind: 'publication';
      readonly publication: Publication;
      readonly source: EntrySource;
      readonly clientId: string;
      readonly packetId: number;
    }
  | { readonly kind: 'release'; readonly clientId: string; readonly packetId: number };

type EntrySource =
  | { readonly kind: 'device' }
  | {
      readonly kind: 'trunk';
      readonly logEpoch: string;
      readonly lane: number;
      readonly position: number;
      readonly from: SourcePlace | null;
    };

/** An entry with its place. */
export type ReadEntry = SpoolEntry & { readonly sequence: number };

/** The log that an entry from the trunk counts its position in; null for other entries. */
export function epochOfEntry(entry: SpoolInput): string | null {
  if (entry.kind !== 'publication' && entry.kind !== 'run') return null;
  return entry.source?.kind === 'trunk' ? entry.source.logEpoch : null;
}

/** `assign` gives out the next place on a lane, for what goes up. */
export function recordOf(
  entry: SpoolInput,
  map: LaneMap,
  assign: (lane: number) => number,
): SpoolRecord | RunRecord {
  if (entry.kind === 'release') return entry;
  if (entry.kind === 'run') return recordOfRun(entry, map, assign);
  if (entry.kind === 'canary') return recordOfCanary(entry, assign);
  const { publication, clientId, packetId, source } = entry;
  const kind = 'publication';
  // Every field is named: on this path V8 was measured to build spread objects many times slower.
  if (source.kind === 'trunk') {
    const { from, lane, position: place } = source;
    return { kind, publication, clientId, packetId, direction: 'down', lane, place, from };
  }
  const from = null;
  // [MQTT-4.7.2] topics that begin with $ belong to the server that they were sent to.
  if (publication.topic.startsWith('$') || map.goesUp?.(publication.topic, 1) === false) {
    return { kind, publication, clientId, packetId, direction: 'local', lane: 0, place: 0, from };
  }
  const lane = map.laneFor(publication.topic);
  const place = assign(lane);
  return { kind, publication, clientId, packetId, direction: 'up', lane, place, from };
}

function recordOfCanary(
  { publication, lane }: CanaryInput,
  assign: (lane: number) => number,
): SpoolRecord {
  const kind = 'publication';
  const direction = 'up';
  const place = assign(lane);
  return { kind, publication, clientId: '', packetId: 0, direction, lane, place, from: null };
}

function recordOfRun(
  { run, clientId, source }: RunInput,
  map: LaneMap,
  assign: (lane: number) => number,
): RunRecord {
  const kind = 'run';
  if (source?.kind === 'trunk') {
    const { from, lane, position: place } = source;
    return { kind, run, clientId, direction: 'down', lane, place, from };
  }
  const from = null;
  if (run.topic.startsWith('$') || map.goesUp?.(run.topic, run.count) === false) {
    return { kind, run, clientId, direction: 'local', lane: 0, place: 0, from };
  }
  const lane = map.laneFor(run.topic);
  return { kind, run, clientId, direction: 'up', lane, place: assign(lane), from };
}

/** What was scanned, without the records of the spool's own. */
export function entriesOf(
  scanned: readonly { readonly sequence: number; readonly record: SpoolRecord }[],
  logEpoch: string,
): ReadEntry[] {
  return scanned.flatMap(({ sequence, record }) => {
    const entry = entryOf(record, logEpoch);
    return entry === null ? [] : [{ ...entry, sequence }];
  });
}

/** Null for a record of the spool's own, and for a canary. */
export function entryOf(record: SpoolRecord, logEpoch: string): SpoolEntry | null {
  if (record.kind === 'state') return null;
  if (record.kind === 'release') return record;
  const { publication, clientId, packetId, direction, lane, place, from } = record;
  if (isCanary(publication.topic)) return null;
  const source =
    direction === 'down'
      ? ({ kind: 'trunk', logEpoch, lane, position: place, from } as const)
      : ({ kind: 'device' } as const);
  return { kind: 'publication', publication, clientId, packetId, source };
}
