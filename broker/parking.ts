/**
 * Messages that sessions still owe from segments that the log would otherwise free: they move to
 * the state store, once each however many sessions wait for them, so that one device that stays
 * away for days does not keep the whole log of those days.
 */
import type { Logger } from '../base/log.ts';
import type { Publication, Qos } from '../base/publication.ts';
import type { MessageLog } from './ports.ts';
import type { SessionJournal } from './session-journal.ts';
import type { ParkedRow, StateStore } from './store/state-store.ts';

/** Messages moved in one round; the rest follows in the next. */
const roundMessagesMax = 2_000;

export interface ParkingParts {
  readonly log: Logger;
  readonly store: StateStore;
  readonly messageLog: MessageLog;
}

export class Parking {
  readonly #parts: ParkingParts;
  /** How many sessions owe each parked message. */
  readonly #owners = new Map<number, number>();
  /** Everything owed up to here is parked; what is owed later is always newer. */
  #through = 0;
  #running: Promise<void> | null = null;

  constructor(parts: ParkingParts) {
    this.#parts = parts;
  }

  get count(): number {
    return this.#owners.size;
  }

  /** Up to this log sequence nothing has to stay in the log for a session's sake. */
  get through(): number {
    return this.#through;
  }

  has(sequence: number): boolean {
    return this.#owners.has(sequence);
  }

  /** The message by its log sequence, wherever it is; null when nobody keeps it. */
  async read(sequence: number): Promise<Publication | null> {
    if (!this.#owners.has(sequence)) return this.#parts.messageLog.get(sequence);
    const row = await this.#parts.store.parkedRow(sequence);
    return row === undefined ? null : publicationOf(row);
  }

  /** A session is done with the message. */
  release(sequence: number): void {
    const owners = this.#owners.get(sequence);
    if (owners === undefined) return;
    if (owners > 1) {
      this.#owners.set(sequence, owners - 1);
      return;
    }
    this.#owners.delete(sequence);
    this.#parts.store.parked.delete([sequence]);
  }

  /** What an earlier run parked, in log order; `claim` answers how many sessions owe it. */
  async restore(claim: (publication: Publication, sequence: number) => number): Promise<void> {
    const rows = await this.#parts.store.load<ParkedRow>(this.#parts.store.parked);
    for (const row of rows.toSorted((a, b) => a.sequence - b.sequence)) {
      const owners = claim(publicationOf(row), row.sequence);
      if (owners === 0) this.#parts.store.parked.delete([row.sequence]);
      else this.#owners.set(row.sequence, owners);
      this.#through = Math.max(this.#through, row.sequence);
    }
  }

  /** Parks what is owed from before the segment being written. One round at a time. */
  round(journals: Iterable<SessionJournal>): void {
    if (this.#running !== null) return;
    this.#running = this.#park([...journals])
      .catch((error: unknown) => this.#parts.log.error({ err: error }, 'parking failed'))
      .finally(() => {
        this.#running = null;
      });
  }

  async close(): Promise<void> {
    await this.#running;
  }

  async #park(journals: readonly SessionJournal[]): Promise<void> {
    const { messageLog, store } = this.#parts;
    const before = messageLog.activeFrom;
    const owed = [...countOwed(journals, { after: this.#through, before })].sort(
      ([a], [b]) => a - b,
    );
    const moved = owed.slice(0, roundMessagesMax);
    for (const [sequence] of moved) {
      const publication = await messageLog.get(sequence);
      if (publication !== null) store.parked.put(rowOf(sequence, publication));
    }
    await store.commit();
    const through = moved.length < owed.length ? (moved.at(-1)?.[0] ?? 0) : before - 1;
    // What was settled while it was being written is owed by nobody now.
    const still = countOwed(journals, { after: this.#through, before: through + 1 });
    for (const [sequence] of moved) {
      const owners = still.get(sequence);
      if (owners === undefined) store.parked.delete([sequence]);
      else this.#owners.set(sequence, owners);
    }
    this.#through = Math.max(this.#through, through);
    if (moved.length > 0) this.#parts.log.info({ count: moved.length }, 'messages parked');
  }
}

function countOwed(
  journals: readonly SessionJournal[],
  range: { after: number; before: number },
): Map<number, number> {
  const counts = new Map<number, number>();
  for (const journal of journals) {
    for (const sequence of journal.owedBetween(range.after, range.before)) {
      counts.set(sequence, (counts.get(sequence) ?? 0) + 1);
    }
  }
  return counts;
}

function rowOf(sequence: number, publication: Publication) {
  const { topic, qos, payload, properties, acceptedAt, origin } = publication;
  return [sequence, topic, qos, payload, properties, acceptedAt, origin] as const;
}

function publicationOf(row: ParkedRow): Publication {
  return {
    topic: row.topic,
    payload: row.payload,
    qos: row.qos as Qos,
    retain: false,
    properties: row.properties,
    acceptedAt: row.accepted_at,
    origin: row.origin,
  };
}
