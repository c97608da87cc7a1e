/** What the broker needs from outside; `cli/` connects it to the bridge. */
import type { Publication } from '../base/publication.ts';
import type { SourcePlace } from '../base/source.ts';
import type { Session, SessionEvent } from '../proto/gen/trunkline/v1/session.ts';
import type { Run } from '../proto/run.ts';

/** Where a spooled publication came from. */
export type SpoolSource =
  | { readonly kind: 'device' }
  /** Down the trunk: the position in the core's log of that lane. */
  | {
      readonly kind: 'trunk';
      readonly logEpoch: string;
      readonly lane: number;
      readonly position: number;
      /** Where it entered; null when the core did not tell. */
      readonly from: SourcePlace | null;
    };

/** A publication on its way into the log. */
export interface LogPublication {
  readonly kind: 'publication';
  readonly publication: Publication;
  readonly source: SpoolSource;
  /** From a device with a kept session: who, where it must be known after a crash, which is for
   * QoS 2 and for "no local"; else ''. */
  readonly clientId: string;
  /** Of QoS 2 from a kept session; else 0. */
  readonly packetId: number;
}

/** PUBREL came: the packet identifier of the client may be used again. */
export interface LogRelease {
  readonly kind: 'release';
  readonly clientId: string;
  readonly packetId: number;
}

/** A run of publications of one device; it takes a sequence for each. */
export interface LogRun {
  readonly kind: 'run';
  readonly run: Run;
  /** As of a publication, that of its first; absent: from a device. */
  readonly source?: SpoolSource;
  /** As of a publication; the packet identifiers are in the run. */
  readonly clientId: string;
}

export type LogEntry = LogPublication | LogRun | LogRelease;

/** An entry as it is read back, with its place. Sequences count up by one across the whole log. */
export type LoggedEntry = (LogPublication | LogRelease) & { readonly sequence: number };

/** The edge's durable log. */
export interface MessageLog {
  /** Everything up to this sequence is on disk. */
  readonly durableThrough: number;
  /** Everything up to this sequence counts as kept, and is with whoever waited for that. */
  readonly acceptedThrough: number;
  /** The last sequence that was given out. */
  readonly appendedThrough: number;
  /** The first sequence of the part of the log that is being written and can't be freed. */
  readonly activeFrom: number;
  /** True when so much waits for the disk that publishers must pause. */
  readonly isSaturated: boolean;
  /** Nobody waits for the disk: what is appended counts as kept. */
  readonly isVolatile: boolean;
  /** Queues for the next group commit and returns its sequence, of a run that of its first. */
  append(entry: LogEntry): number;
  /** Calls after each group commit, in sequence order. */
  onDurable(listener: (through: number) => void): void;
  /** Calls when `isSaturated` falls back to false. */
  onRelief(listener: () => void): void;
  /** Entries from a sequence on up to the durable end, in order, in chunks. */
  read(fromSequence: number): AsyncIterable<readonly LoggedEntry[]>;
  /** One publication by its sequence; null when the log no longer has it. */
  get(sequence: number): Promise<Publication | null>;
  /** The lowest sequence that the core may still have to make durable; Infinity for none. */
  readonly lowestPending: number;
  /** Whether the core still has to make this publication durable. */
  isUplinkPending(topic: string, sequence: number): boolean;
  /** The log keeps everything from the lowest sequence that any holder names. */
  addHolder(lowest: () => number): void;
}

/** Whether the core has told what it holds for a topic; `isOwn`: for what was published here. */
export type Confirmed = (topic: string, isOwn: boolean) => boolean;

/** The broker's way up to the core. */
export interface Uplink {
  /** Whether anybody beyond this edge wants QoS 0 of the topic. */
  wants(topic: string): boolean;
  /** A publication of QoS 0 that is not retained. Never waits. */
  offer(publication: Publication): void;
  /** The first session here wants the filter. Resolves when the core's retained messages for it have
   * arrived, with what it has confirmed by them; with null when no core answers in time. */
  want(filter: string): Promise<Confirmed | null>;
  /** The last session here gave up the filter. */
  unwant(filter: string): void;
}

/** Hears of sessions; never waits. */
export interface SessionListener {
  sessionChanged(session: Session): void;
  sessionRemoved(clientId: string): void;
  /** What happened to a client; the bridge fills in the edge. */
  sessionEvent(event: SessionEvent): void;
}

/** What the bridge may ask of the broker; the shape that its port names. */
export interface LocalDelivery {
  deliver(
    from: { readonly lane: number; readonly logEpoch: string },
    items: readonly {
      readonly publication: Publication;
      readonly position: number;
      readonly from: SourcePlace | null;
    }[],
  ): Promise<void>;
  wantedFilters(): Iterable<string>;
  beginRetainedSync(isKnownLog: boolean): (confirmed: Confirmed | null) => void;
  sessions(): Iterable<Session>;
  stats(): {
    receivedMessages: number;
    deliveredMessages: number;
    droppedMessages: number;
    connectedSessions: number;
    startedAtMs: number;
  };
}
