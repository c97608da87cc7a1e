/**
 * Retained messages by topic, with an index by level for wildcard lookups. The newest by order of
 * arrival wins; what this edge has on its way up wins over what comes down, because the core will
 * order it later. When the core has told all that it holds for a filter, what it did not name goes.
 *
 * Bounded by count and bytes: what does not fit is delivered as any message, but not kept. What has a
 * message expiry goes when that is over, at the latest when somebody asks for it.
 * Source: MQTT 3.1.1 section 3.3.1.3; MQTT 5 sections 3.3.1.3 and 3.3.2.3.3.
 */
import type { Clock } from '../../base/clock.ts';
import type { Ledger } from '../../base/ledger.ts';
import { LevelTree } from '../../base/level-tree.ts';
import type { Logger } from '../../base/log.ts';
import {
  type Publication,
  publicationBytes,
  type Qos,
  withPayload,
} from '../../base/publication.ts';
import { messageExpiryOf } from '../mqtt5/publish-properties.ts';
import type { Confirmed, MessageLog } from '../ports.ts';
import type { RetainedRow, StateStore } from '../store/state-store.ts';
import { type RetainedMark, RetainedSync } from './retained-sync.ts';

/** Nodes that a lookup visits in one turn of the event loop: well below a millisecond. */
const stepNodes = 500;

/** Nodes that one `sweep` visits: a million are seen within a few minutes. */
const sweepNodes = 5_000;

/** Stands for a sequence: kept from before the core's log began, and not to be asked after. */
const heldSequence = -1;

/** One line tells how many were not kept in this time. */
const fullLogMs = 10_000;

export interface RetainedParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly store: Pick<StateStore, 'retained'>;
  readonly messageLog: Pick<MessageLog, 'isUplinkPending' | 'lowestPending'>;
}

export interface RetainedLimits {
  readonly retained_messages: number;
  readonly retained_bytes: number;
}

interface Entry {
  readonly publication: Publication;
  /** Sequence in the log; 0 for what came down without one, `heldSequence` for what a new core does
   * not know. */
  readonly sequence: number;
  /** Counts up with every change here, to tell what a snapshot did not confirm. */
  readonly stamp: number;
  /** Milliseconds since the epoch; Infinity for never. */
  readonly expiresAt: number;
}

export class Retained {
  readonly #parts: RetainedParts;
  readonly #limits: RetainedLimits;
  readonly #tree = new LevelTree<Entry>();
  readonly #sync: RetainedSync;
  #bytes = 0;
  /** Entries that expire some time. */
  #expiringCount = 0;
  #sweep: Iterator<readonly Entry[]> | null = null;
  #stamp = 0;
  #refusedCount = 0;
  #fullLoggedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: RetainedParts, limits: RetainedLimits) {
    this.#parts = parts;
    this.#limits = limits;
    this.#sync = new RetainedSync(parts.messageLog);
  }

  get count(): number {
    return this.#tree.size;
  }

  /** Before the core is asked what it holds; to be settled when it has answered, or will not. */
  mark(): RetainedMark {
    return this.#sync.mark(this.#stamp);
  }

  settle(mark: RetainedMark): void {
    this.#sync.settle(mark);
  }

  restore(rows: readonly RetainedRow[]): void {
    for (const row of rows) {
      const publication = {
        topic: row.topic,
        payload: row.payload,
        properties: row.properties,
        qos: row.qos as Qos,
        retain: true,
        acceptedAt: row.accepted_at,
        origin: row.origin,
      };
      this.#put({
        publication,
        sequence: row.sequence,
        stamp: 0,
        expiresAt: expiryOf(publication),
      });
    }
  }

  /** Keeps, replaces or (empty payload) deletes. `sequence` is 0 for what is not in the log. */
  set(publication: Publication, sequence: number): void {
    const { topic } = publication;
    const present = this.#tree.get(topic);
    if (present !== undefined && this.#isOlder(publication, sequence, present)) return;
    if (publication.payload.length === 0) {
      this.#delete(topic);
      if (publication.origin === '' && sequence > 0) this.#sync.noteDeleted(topic, sequence);
      return;
    }
    this.#sync.noteKept(topic);
    if (!this.#hasRoom(publication, present)) {
      // What the topic had is not its retained message any more, either.
      this.#delete(topic);
      this.#refuse(topic);
      return;
    }
    // Kept for long: not as a view of the chunk that it came in.
    const kept = withPayload(publication, Buffer.from(publication.payload));
    const expiresAt = expiryOf(kept);
    this.#keep(kept, { publication: kept, sequence, stamp: ++this.#stamp, expiresAt });
  }

  /** Every retained message that the filter matches, in steps between which others have their turn;
   * each is as it is at the time of its step. */
  async *walk(filter: string): AsyncGenerator<readonly Publication[]> {
    for await (const entries of this.#steps(filter)) {
      yield entries.map((entry) => entry.publication);
    }
  }

  /** Whether it is still what the topic has. */
  isCurrent(publication: Publication): boolean {
    return this.#tree.get(publication.topic)?.publication === publication;
  }

  /** What the core holds, in answer to being asked: state, not news. */
  confirm(publication: Publication): void {
    const { topic } = publication;
    const present = this.#tree.get(topic);
    const isBehind =
      present === undefined
        ? this.#sync.isDeleted(topic)
        : isOwn(present) && this.#sync.isAhead(topic, present.sequence);
    if (!isBehind) this.set(publication, 0);
  }

  /** After the core has sent all it holds for the filter: what it did not name was deleted there. */
  async dropUnconfirmed(filter: string, mark: RetainedMark, confirmed: Confirmed): Promise<void> {
    for await (const entries of this.#steps(filter)) {
      for (const entry of entries) {
        const { topic } = entry.publication;
        if (entry.stamp > mark.stamp || entry.sequence === heldSequence) continue;
        if (isOwn(entry) && this.#sync.isAhead(topic, entry.sequence)) continue;
        if (confirmed(topic, entry.publication.origin === '')) this.#delete(topic);
      }
    }
  }

  /** A core of another log does not know what its predecessor had: what this edge has of it stays
   * until there is something newer. */
  async hold(): Promise<void> {
    for (const step of this.#tree.walkAll(stepNodes)) {
      for (const entry of step) {
        if (isOwn(entry) && this.#sync.isAhead(entry.publication.topic, entry.sequence)) continue;
        this.#keep(entry.publication, { ...entry, sequence: heldSequence });
      }
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  /** Looks at a few more, in turn, whether they have expired. To be called now and then. */
  sweep(): void {
    if (this.#expiringCount === 0) return;
    this.#sweep ??= this.#tree.walkAll(sweepNodes)[Symbol.iterator]();
    const step = this.#sweep.next();
    if (step.done === true) this.#sweep = null;
    else this.#living(step.value);
  }

  async *#steps(filter: string): AsyncGenerator<readonly Entry[]> {
    let isFirst = true;
    for (const step of this.#tree.walk(filter, stepNodes)) {
      if (!isFirst) await new Promise<void>((resolve) => setImmediate(resolve));
      isFirst = false;
      const living = this.#living(step);
      if (living.length > 0) yield living;
    }
  }

  /** Those that have not expired; the others go. */
  #living(entries: readonly Entry[]): readonly Entry[] {
    if (this.#expiringCount === 0) return entries;
    const now = this.#parts.clock.now();
    return entries.filter((entry) => {
      if (entry.expiresAt > now) return true;
      const { topic } = entry.publication;
      if (this.#tree.get(topic) === entry) {
        this.#delete(topic);
        this.#parts.ledger.retainedLost('expired');
      }
      return false;
    });
  }

  #isOlder(publication: Publication, sequence: number, present: Entry): boolean {
    if (publication.origin === '') return sequence !== 0 && sequence < present.sequence;
    const { messageLog } = this.#parts;
    return isOwn(present) && messageLog.isUplinkPending(publication.topic, present.sequence);
  }

  #keep({ payload, properties, qos, acceptedAt, origin, topic }: Publication, entry: Entry): void {
    this.#put(entry);
    const { sequence } = entry;
    this.#parts.store.retained.put([topic, sequence, qos, payload, properties, acceptedAt, origin]);
  }

  #hasRoom(publication: Publication, present: Entry | undefined): boolean {
    const isNew = present === undefined;
    if (isNew && this.#tree.size >= this.#limits.retained_messages) return false;
    const freed = isNew ? 0 : publicationBytes(present.publication);
    return this.#bytes - freed + publicationBytes(publication) <= this.#limits.retained_bytes;
  }

  #refuse(topic: string): void {
    this.#parts.ledger.retainedLost('full');
    this.#refusedCount++;
    const now = this.#parts.clock.elapsed();
    if (now < this.#fullLoggedAt + fullLogMs) return;
    this.#fullLoggedAt = now;
    const fields = {
      reason: 'full',
      topic,
      count: this.#refusedCount,
      retained_messages: this.#tree.size,
      retained_bytes: this.#bytes,
    };
    this.#parts.log.warn(fields, 'message delivered but not retained');
    this.#refusedCount = 0;
  }

  #put(entry: Entry): void {
    this.#bytes += publicationBytes(entry.publication);
    if (entry.expiresAt < Number.POSITIVE_INFINITY) this.#expiringCount++;
    const before = this.#tree.set(entry.publication.topic, entry);
    if (before !== undefined) this.#forget(before);
  }

  #delete(topic: string): void {
    const entry = this.#tree.delete(topic);
    if (entry === undefined) return;
    this.#forget(entry);
    this.#parts.store.retained.delete([topic]);
  }

  #forget(entry: Entry): void {
    this.#bytes -= publicationBytes(entry.publication);
    if (entry.expiresAt < Number.POSITIVE_INFINITY) this.#expiringCount--;
  }
}

/** Published here, and in the log. */
function isOwn({ publication, sequence }: Entry): boolean {
  return publication.origin === '' && sequence > 0;
}

function expiryOf({ properties, acceptedAt }: Publication): number {
  const seconds = messageExpiryOf(properties);
  return seconds < 0 ? Number.POSITIVE_INFINITY : acceptedAt + seconds * 1_000;
}
