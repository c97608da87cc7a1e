/**
 * What core nodes share: the log of each lane, how far each edge's lane is durable, the retained
 * messages, which follow from the log, and, where there are several cores, the way to the others.
 *
 * Positions ascend along a lane, and batches lie next to each other; whether each position has a
 * publication is the backplane's business. An edge may bring sequences to one core that it brought
 * to another before: what the log had is a repeat wherever it comes in.
 */
import type { Publication } from '../../base/publication.ts';
import type { SourcePlace } from '../../base/source.ts';

/** Publications on their way into the log. */
export interface LogAppend {
  /** The lane of the log that all of them go to; null when each goes to its topic's. */
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
  /** The last position that belongs to it; the next batch begins behind it. */
  readonly through: number;
  /** From the first position on, one each; positions behind the last have none. Empty when the stored bytes can't be read any more. */
  readonly publications: readonly Publication[];
  /** Of all publications; known before they are decoded. */
  readonly bytes: number;
  /** The slots of their topics, a bit each; may have more than those. */
  readonly slots: bigint;
  /** Whether any of them is retained. */
  readonly hasRetained: boolean;
  /** Where the publication of this index entered: what did so at a core has its place in the log,
   * with an empty origin. Null for a repeat, and where an earlier version stored none. */
  placeAt(index: number): SourcePlace | null;
}

/** As far as an edge has had a lane of the log. */
export interface LogSighting {
  readonly logEpoch: string;
  readonly lane: number;
  readonly position: number;
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

/** Why the backplane cannot be used now, in words; empty while it can. */
export type BackplaneFault = string;

export interface Backplane {
  /** Identity of the log: positions are meaningful within it. It changes when the log lost something
   * that it had told to be durable. */
  readonly logEpoch: string;
  /** Empty while all is well. */
  readonly fault: BackplaneFault;
  /** The other cores; null when there can be none. */
  readonly peers: PeerCores | null;
  /** Records that all cores change and follow; null for a core that keeps its own by itself. */
  readonly tables: SharedTables | null;
  /** Called when `fault` or `logEpoch` has changed; must not throw. */
  onChanged(listener: (what: 'fault' | 'epoch') => void): void;
  /**
   * An edge has had more of this log than there is: it was put back from an old copy, and gives its
   * positions out a second time. It takes a new epoch, unless it reaches that far after all, and is
   * durable with it when this resolves. Throws `store-failing`, or what the file system throws.
   */
  renewEpoch(seen: LogSighting): Promise<void>;
  /** From here on the listeners hear what is appended, here and by other cores, and before it
   * resolves what was appended up to now and may not be in `readRetained`. `retained` answers all
   * that there is, should the backplane have lost it. */
  start(retained: () => Iterable<Publication>): Promise<void>;
  /** The last position of a lane; 0 for none yet. */
  head(lane: number): number;
  /** The lowest position that can be read, or the next to come when there is none. */
  oldest(lane: number): number;
  /** How many are missing, at least, when nothing is left between two positions. */
  missing(after: number, first: number): number;
  /** Resolves when what any core had made durable before the call is known here. Throws
   * `store-failing` when that cannot be found out. */
  caughtUp(): Promise<void>;
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
  /** Calls with what is new, in log order, whichever core appended it. */
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
  /** Drops the oldest of the log, up to a step; resolves to the bytes freed. A backplane that does
   * this by itself frees nothing here. */
  trim(options: TrimOptions): Promise<number>;
  close(): Promise<void>;
}

/** What cores tell each other by a name of its own. */
export interface PeerChannel {
  /** At most once; nobody waits for it. False when nothing was sent. */
  tellAll(body: Uint8Array): boolean;
  tell(node: string, body: Uint8Array): boolean;
}

/** The way to the other cores, for what is not logged. */
export interface PeerCores {
  /** This run of this core. */
  readonly node: string;
  /** The listener is called with what any core tells, this one, too; what it throws is logged. */
  channel(name: string, listener: (body: Uint8Array) => void): PeerChannel;
  /** What this core wants of QoS 0 from the others has changed; it is asked for a little later. */
  announce(wanted: () => Iterable<string>): void;
  /** At most once; nobody waits for it. */
  send(peer: string, publications: readonly Publication[]): void;
  /** Called with QoS 0 from others. */
  onPublications(listener: (publications: readonly Publication[]) => void): void;
  /** Called with all that another core wants, at first and when it changes; null when it is gone. */
  onWanted(listener: (peer: string, filters: ReadonlySet<string> | null) => void): void;
}

export interface Revised<T> {
  readonly value: T;
  /** 0 is that of a record that is not there. */
  readonly revision: number;
}

export interface SharedTables {
  table<T extends object>(name: string): SharedTable<T>;
}

export interface TableListener<T extends object> {
  /** Each record that there is, and each change, whoever made it. */
  record(key: string, record: Revised<T>): void;
  /** All records are gone, because the engine lost them: who has them puts them back. */
  lost(): void;
}

export interface SharedTable<T extends object> {
  get(key: string): Promise<Revised<T> | null>;
  /** The new revision; null when the record does not have `revision` any more: of those who change it
   * at a time, one succeeds. */
  put(key: string, value: T, revision: number): Promise<number | null>;
  /** Resolves when all records that there are have been told; the function that it answers with ends
   * it. */
  follow(listener: TableListener<T>): Promise<() => void>;
}
