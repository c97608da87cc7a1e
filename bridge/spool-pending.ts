/** What waits for the spool's group commit, and what of it goes up the trunk. */
import type { Queued } from './group-commit.ts';
import type { UplinkRecord } from './ports.ts';
import type { PublicationRecord, SpoolRecord } from './spool-record.ts';
import type { RunRecord } from './spool-run.ts';

export interface Pending extends Queued {
  /** Sequences that it takes, from `sequence` on. */
  readonly count: number;
  readonly record: SpoolRecord | RunRecord;
}

export function goesUp(record: SpoolRecord | RunRecord): record is PublicationRecord | RunRecord {
  return (record.kind === 'publication' || record.kind === 'run') && record.direction === 'up';
}

export function cameDown(record: SpoolRecord | RunRecord): record is PublicationRecord | RunRecord {
  return (record.kind === 'publication' || record.kind === 'run') && record.direction === 'down';
}

/** One by one, for the lanes. */
export function uplinkRecords({ record, sequence }: Pending): UplinkRecord[] {
  if (!goesUp(record)) return [];
  const { lane, place } = record;
  const publications = record.kind === 'run' ? record.run.publications() : [record.publication];
  return publications.map((publication, index) => ({
    publication,
    sequence: sequence + index,
    lane,
    laneSequence: place + index,
  }));
}
