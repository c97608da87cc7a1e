/** What the bridge needs from outside; `cli/` connects it to the broker. */
import type { Duplex } from 'node:stream';
import type { Publication } from '../base/publication.ts';
import type { SourcePlace } from '../base/source.ts';
import type { Session } from '../proto/gen/trunkline/v1/session.ts';
import type { EdgeStats } from '../proto/gen/trunkline/v1/trunk.ts';
import type { SeenSources } from './seen-sources.ts';

/** A publication that came down, with its position in the core's log of its lane (0 for QoS 0). */
export interface Downlinked {
  readonly publication: Publication;
  readonly position: number;
  /** Where it entered; null when the core did not tell. */
  readonly from: SourcePlace | null;
}

/** Whether the core has told what it holds for a topic; `isOwn`: for what was published here. */
export type Confirmed = (topic: string, isOwn: boolean) => boolean;

/** The edge's broker, seen from the trunk. */
export interface LocalDelivery {
  /**
   * Routes publications of one lane in order. Resolves when everything that a kept session here
   * needs is durable in the spool; only then may the position be acknowledged.
   */
  deliver(
    from: { readonly lane: number; readonly logEpoch: string },
    items: readonly Downlinked[],
  ): Promise<void>;
  /** Every filter that some session here wants, for a snapshot of interest. */
  wantedFilters(): Iterable<string>;
  /** The core is being asked for everything that is wanted here. The answer is called once: with what
   * it has confirmed, so that retained messages which it did not name are dropped, or with null.
   * `isKnownLog` false: another core's word, by which nothing is dropped. */
  beginRetainedSync(isKnownLog: boolean): (confirmed: Confirmed | null) => void;
  /** Every session, for a snapshot of session facts. */
  sessions(): Iterable<Session>;
  /** Totals for the operators; the bridge fills in its own part. */
  stats(): Pick<
    EdgeStats,
    | 'receivedMessages'
    | 'deliveredMessages'
    | 'droppedMessages'
    | 'connectedSessions'
    | 'startedAtMs'
  >;
}

/** A spooled publication that goes up, with its place on its lane. */
export interface UplinkRecord {
  readonly publication: Publication;
  /** Sequence in the spool. */
  readonly sequence: number;
  readonly lane: number;
  /** Sequence on the lane, from 1, without gaps. */
  readonly laneSequence: number;
}

/** Where the downlink of a lane begins. */
export interface LaneStart {
  readonly position: number;
  /** The core's log ends before what the edge has had of it, because it was put back from an old
   * copy: the position stands although it is lower than what was noted. */
  readonly isSetBack: boolean;
}

/** The spool, seen from the lanes. */
export interface UplinkLog {
  /** Identity of the spool; lane sequences are meaningful within it. */
  readonly epoch: string;
  /** Lanes that something of it goes up on. */
  readonly laneCount: number;
  /** The lane that a topic goes up on. */
  laneFor(topic: string): number;
  /** The highest lane sequence that the core can have from this spool: sent by this process, or
   * found on disk when it started. */
  sentThrough(lane: number): number;
  /** On its way to the core through this lane sequence. */
  noteSent(lane: number, throughLaneSequence: number): void;
  /** The core has more of each lane than this spool ever sent, because the spool's folder was put
   * back from an old copy: what is new here takes another identity. `durableThrough`: one for each
   * lane. */
  renewEpoch(durableThrough: readonly number[]): Promise<void>;
  /** The lowest lane sequence still held, acknowledged or not; the next to come when none is. */
  oldestOf(lane: number): number;
  /** The highest lane sequence that may go up: durable, and not held back by a change of the lane
   * map; 0 for none yet. */
  newestOf(lane: number): number;
  /** The core has made the lane durable through this one, as far as is known. */
  acknowledgedOf(lane: number): number;
  /** The core's word on each lane, before any of them starts: what it has lost goes up again. */
  resume(durableThrough: readonly number[]): void;
  /** Puts one publication of the edge's own on the lane; answers its lane sequence. */
  appendCanary(lane: number, publication: Publication): number;
  /** Calls when more may go up than before, though nothing new was accepted. */
  onReleased(listener: () => void): void;
  /** Durable uplink records of a lane from a lane sequence on, in order, in chunks; ends at the
   * durable end. */
  readLane(lane: number, fromLaneSequence: number): AsyncIterable<readonly UplinkRecord[]>;
  /** Calls after each group commit; `records` takes apart what of it goes up, in order. */
  onUplink(listener: (records: () => readonly UplinkRecord[]) => void): void;
  /** The core has made the lane durable through this lane sequence: it may be freed. */
  acknowledge(lane: number, throughLaneSequence: number): void;
  /** What this edge has had of others, by where it entered. */
  readonly seen: SeenSources;
  /** Where the downlink of a lane stands, by what is durable here. */
  downlinkPosition(lane: number): { readonly logEpoch: string; readonly position: number };
  /** A new link begins: where each lane stands by the core's word. */
  startAt(at: { readonly logEpoch: string; readonly lanes: readonly LaneStart[] }): void;
  /** Notes that everything through the position was dealt with; made durable within a second. What
   * belongs to another log than that of `startAt` is passed over. */
  notePosition(lane: number, at: { readonly logEpoch: string; readonly position: number }): void;
  /** Durable uplink records above the acknowledged ones. */
  readonly backlog: number;
  backlogOf(lane: number): number;
  /** What the lane is for, by the lane map in force. */
  priorityOf(lane: number): 'high' | 'normal' | 'bulk';
  /** How far a publication of this epoch has come; null for a sequence that was not given out. */
  stageOf(lane: number, laneSequence: number): 'spooled' | 'sent' | 'acknowledged' | null;
  /** Bytes on disk. */
  readonly bytes: number;
}

/** The edge's broker, for sessions within the process. */
export interface LocalDoor {
  /** A connection as a device has one; it speaks MQTT, and is let in under any client identifier. */
  connect(): Duplex;
  /** What the session of this client identifier is subscribed to. */
  filtersOf(clientId: string): readonly string[];
  /** Publications that wait for it. */
  queuedOf(clientId: string): number;
  /** Packet identifiers of QoS 2 that the client has not released are free again: whoever gave them
   * has forgotten them. Durable when it resolves. */
  forgetReceived(clientId: string): Promise<void>;
}
