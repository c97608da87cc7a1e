/**
 * What core nodes share: the log of each lane, how far each edge's lane is durable, and the
 * retained messages. One transaction covers all three, so a crash can't tear them apart.
 */
import type { Publication } from '../../base/publication.ts';
import type { SourceLane, SourcePlace } from '../../base/source.ts';

/** Publications on their way into the log. */
export interface LogAppend {
  /** The lane of the log that all of them belong to; null when each goes to its topic's. */
  readonly lane: number | null;
  /** Not empty. */
  readonly publications: readonly Publication[];
  /** Where they come from when they carry sequences; null for what enters at the core. */
  readonly source: LogSource | null;
  /** Called as soon as they are durable, before the log's listeners hear of them. */
  readonly onDurable?: (appended: Appended) => void;
}

/** Sequences of an edge's lane; contiguous from the first. */
export interface LogSource {
  readonly edgeId: string;
  readonly epoch: string;
  /** The edge's own lane, not one of the log. */
  readonly lane: number;
  readonly firstSequence: number;
}

export interface Appended {
  /** Position of the first publication that was new, on its lane; 0 when all were repeats. */
  readonly firstPosition: number;
  /** How many at the front had been taken before, and were left out. */
  readonly repeats: number;
}

/** A run of the log of one lane. */
export interface LogBatch {
  readonly lane: number;
  readonly firstPosition: number;
  /** The position of the last. */
  readonly through: number;
  /** One for each position; empty when the stored bytes can't be read any more. */
  readonly publications: readonly Publication[];
  /** Null where the stored bytes are of an earlier version, which told none for what entered here. */
  readonly source: BatchSource | null;
}

/** Where the publications of one batch of the log entered. */
export interface BatchSource {
  readonly lane: SourceLane;
  /** One for each publication. */
  readonly sequences: readonly number[];
}

/** One publication in the log. */
export interface LogPlace {
  readonly lane: number;
  readonly position: number;
  readonly storedAt: number;
  readonly publication: Publication;
}

export interface TrimOptions {
  /** The log may have this many bytes, whoever still has to read it. */
  readonly bytesMax: number;
  /** Enough for one go, during which no commit is made; the last batch may overstep it. */
  readonly stepBytes: number;
  /** What was stored before this moment may go, once nobody holds it. */
  readonly before: number;
  /** The position of a lane up to which all attached readers have it. */
  readonly readThrough: (lane: number) => number;
}

export interface Backplane {
  /** Identity of the log: positions are meaningful within it. */
  readonly logEpoch: string;
  /** For a log that was put back from an old copy: its positions are given out a second time, so they
   * count in another log from now on. Durable when it resolves; throws what the file system throws. */
  renewEpoch(): Promise<void>;
  /** The last position of a lane; 0 for none yet. */
  head(lane: number): number;
  /** The lowest position that can be read, or the next to come when there is none. */
  oldest(lane: number): number;
  /** Up to where the lane of an edge is durable. A lane that is not known, or whose edge no longer
   * holds the next sequence, starts below `oldestSequence`. */
  openSource(
    source: { readonly edgeId: string; readonly epoch: string },
    lane: number,
    oldestSequence: number,
  ): number;
  /**
   * Appends all or nothing; resolves when it is durable and the listeners have heard of it. Calls
   * keep their order. Throws `lane-gap` when sequences are missing, `store-failing` when the log
   * can't be written; nothing was taken then.
   */
  append(batches: readonly LogAppend[]): Promise<readonly Appended[]>;
  /** Resolves when what was appended before is durable, or has failed. */
  settled(): Promise<void>;
  /** Calls after each commit with what is new, in log order. */
  onAppended(listener: (batches: readonly LogBatch[]) => void): void;
  /** The log of a lane after a position, oldest first, about `bytesMax` of it. */
  read(
    lane: number,
    after: { readonly position: number; readonly bytesMax: number },
  ): Promise<readonly LogBatch[]>;
  /** Where the log has what entered there; null when it does not, any more or at all. */
  locate(place: SourcePlace): Promise<LogPlace | null>;
  /** The epoch of the edge's spool that the log last had something of; null for none. */
  epochOf(edgeId: string): string | null;
  /** All retained messages. */
  readRetained(): AsyncIterable<readonly Publication[]>;
  /** Drops the oldest of the log, up to a step; resolves to the bytes freed. */
  trim(options: TrimOptions): Promise<number>;
  close(): Promise<void>;
}
