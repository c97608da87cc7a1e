/** One message on its way to one session, and what the outbox needs to see it through. */
import type { Clock } from '../base/clock.ts';
import type { Ledger } from '../base/ledger.ts';
import { type Publication, type Qos, withPayload } from '../base/publication.ts';
import type { FrameForm, Run } from '../proto/run.ts';
import type { ConnectionTerms } from './connection/connection-port.ts';
import type { SessionJournal } from './session-journal.ts';

/** Where frames go while the session is connected. */
export interface FrameSink {
  readonly version: FrameForm;
  readonly terms: ConnectionTerms;
  readonly backlogBytes: number;
  send(bytes: Buffer): void;
  sendRange(buffer: Buffer, start: number, end: number): void;
}

/** Who owes messages in the place of the sessions that they are handed to: a shared subscription,
 * whose members share them. */
export interface DeliveryOwner {
  readonly name: string;
  /** What it owes outlives the process. */
  readonly isKept: boolean;
  /** As of `SessionJournal`. */
  expect(sequence: number): void;
  skipped(sequence: number): void;
  settled(sequence: number): void;
  commit(): Promise<void>;
  /** The session that had it has ended; false when nobody else can have it. */
  passOn(delivery: Delivery): boolean;
}

export interface Delivery {
  /** Place in the log; 0 for what is not in it. */
  readonly sequence: number;
  readonly qos: Qos;
  /** Set for retained messages that answer a new subscription, and for those that are to be
   * delivered as they were published. */
  readonly retain: boolean;
  /** Null when it has to be read from the log. */
  readonly publication: Publication | null;
  /** Of the subscriptions that asked for it. */
  readonly identifiers: readonly number[];
  /** Null for the session itself. */
  readonly owner: DeliveryOwner | null;
}

export interface OutboxParts {
  readonly clock: Clock;
  readonly ledger: Ledger;
  /** Null for a session that ends with its connection. */
  readonly journal: SessionJournal | null;
  readonly read: (sequence: number) => Promise<Publication | null>;
  /** The log does not have this message any more, though it was owed. */
  readonly onLost: (sequence: number) => void;
  /** A message could not be read back; it stays queued until `pump` is called again. */
  readonly onFailure: (error: unknown) => void;
}

/** The log has the message: its place is enough until its turn comes. */
export function referenceTo(delivery: Delivery): Delivery {
  return withPublication(delivery, null);
}

/** What waits must not pin the chunk that it came in. */
export function detached(delivery: Delivery): Delivery {
  const { publication } = delivery;
  if (publication === null || publication.payload.buffer.byteLength < 4096) return delivery;
  if (publication.payload.length * 2 > publication.payload.buffer.byteLength) return delivery;
  return withPublication(delivery, withPayload(publication, Buffer.from(publication.payload)));
}

/** Every field is named: on the message path a spread object costs many times more. */
export function withPublication(delivery: Delivery, publication: Publication | null): Delivery {
  return {
    sequence: delivery.sequence,
    qos: delivery.qos,
    retain: delivery.retain,
    publication,
    identifiers: delivery.identifiers,
    owner: delivery.owner,
  };
}

const noIdentifiers: readonly number[] = [];

/** A run taken apart; the sequence is that of its first, 0 for what is not in the log. */
export function deliveriesOf(run: Run, sequence: number, qos: Qos): Delivery[] {
  const step = sequence === 0 ? 0 : 1;
  return run.publications().map((publication, index) => ({
    sequence: sequence + index * step,
    qos,
    retain: false,
    publication,
    identifiers: noIdentifiers,
    owner: null,
  }));
}
