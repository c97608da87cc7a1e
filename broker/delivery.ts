/** One message on its way to one session, and what the outbox needs to see it through. */
import type { Ledger } from '../base/ledger.ts';
import { type Publication, type Qos, withPayload } from '../base/publication.ts';
import type { SessionJournal } from './session-journal.ts';

/** Where frames go while the session is connected. */
export interface FrameSink {
  send(bytes: Buffer): void;
  readonly backlogBytes: number;
}

export interface Delivery {
  /** Place in the log; 0 for what is not in it. */
  readonly sequence: number;
  readonly qos: Qos;
  /** Set for retained messages that answer a new subscription. */
  readonly retain: boolean;
  /** Null when it has to be read from the log. */
  readonly publication: Publication | null;
}

export interface OutboxParts {
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
export function referenceTo({ sequence, qos, retain }: Delivery): Delivery {
  return { sequence, qos, retain, publication: null };
}

/** What waits must not pin the chunk that it came in. */
export function detached(delivery: Delivery): Delivery {
  const { publication } = delivery;
  if (publication === null || publication.payload.buffer.byteLength < 4096) return delivery;
  if (publication.payload.length * 2 > publication.payload.buffer.byteLength) return delivery;
  const { sequence, qos, retain } = delivery;
  const own = withPayload(publication, Buffer.from(publication.payload));
  return { sequence, qos, retain, publication: own };
}
