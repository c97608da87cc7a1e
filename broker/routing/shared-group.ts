/**
 * One shared subscription: its members want the same filter together, and each message goes to one of
 * them. Source: MQTT 5 section 4.8.2; MQTT 3.1.1 clients are served the same.
 *
 * The group itself owes a message, not the member that it was given to, because after a crash nobody
 * knows the choice. What the parts around it keep to:
 * - A group that has, or had, a kept member with QoS above 0 has a journal of its own, in the tables
 *   `shared_group` and `shared_settled`, which counts from when that member came. Each delivery of
 *   QoS above 0 names the group as its `owner`: the outbox reports `expect`, `skipped` and `settled`
 *   to the owner, and only where there is none to the session's own journal.
 * - `expect` is called once for a message, and in log order; when it goes on to another member
 *   (`Outbox.adopt`), it is owed already.
 * - QoS 2 for a kept member: the row in `inflight` has the name of the group, and is durable before
 *   PUBLISH leaves. For a member whose session ends with its connection the group counts the message
 *   as settled, durably, before PUBLISH leaves: nobody else may get it from then on [MQTT-4.8.2-5].
 * - When a member's session ends, another gets what it had not been sent, and QoS 1 that it had not
 *   acknowledged (`passOn`); QoS 2 under way is dropped. When it only loses its connection, or does
 *   not keep up, those that keep up get what it has not been sent (`Outbox.handOver`).
 * - At a start the journals come back first, then the members with their subscriptions, then the
 *   handshakes of `inflight` with their owner. Each entry of the log is then offered to `owe`: who
 *   holds a handshake for it keeps it, else a kept member gets it.
 * - `Sessions.journals` includes those of groups, so that the log, or the parking, keeps what they
 *   owe. A group ends when it has no members and owes nothing.
 */
import type { Publication, Qos } from '../../base/publication.ts';
import type { Delivery, DeliveryOwner } from '../delivery.ts';
import type { GrantedSubscription, Session, SharedMembership } from '../session.ts';
import type { SessionJournal } from '../session-journal.ts';
import { type Member, SharedMembers, type SharedStrategy } from './shared-members.ts';

export interface SharedGroupParts {
  readonly strategy: SharedStrategy;
  readonly openJournal: () => SessionJournal;
  /** It has no members and owes nothing. */
  readonly onIdle: () => void;
}

/** A message for the group. */
export interface SharedMessage {
  readonly publication: Publication;
  /** Place in the log; 0 when it is not in it. */
  readonly sequence: number;
  /** Of the publisher; empty when it is not a session here. */
  readonly clientId: string;
}

const noIdentifiers: readonly number[] = [];

export class SharedGroup implements DeliveryOwner, SharedMembership {
  /** The whole filter, `$share/{group}/{filter}`. */
  readonly name: string;
  readonly #parts: SharedGroupParts;
  readonly #members: SharedMembers;
  #journal: SessionJournal | null;
  /** Members of whose next room the group will hear. */
  readonly #awaited = new Set<Member>();

  /** The journal is that of an earlier run, or null. */
  constructor(parts: SharedGroupParts, name: string, journal: SessionJournal | null) {
    this.name = name;
    this.#parts = parts;
    this.#journal = journal;
    this.#members = new SharedMembers(parts.strategy);
  }

  get memberCount(): number {
    return this.#members.size;
  }

  get journal(): SessionJournal | null {
    return this.#journal;
  }

  get isKept(): boolean {
    return this.#journal !== null;
  }

  /** Without members, and nothing is owed. */
  get isIdle(): boolean {
    const owes = this.#journal !== null && this.#journal.lowestOwed < Number.POSITIVE_INFINITY;
    return this.#members.size === 0 && !owes;
  }

  /** Adds or replaces; true for a new member. */
  join(session: Session, granted: GrantedSubscription): boolean {
    if (session.identity.isKept && granted.qos > 0) this.#journal ??= this.#parts.openJournal();
    session.groups ??= new Set();
    session.groups.add(this);
    return this.#members.add(session, granted);
  }

  /** True when it was a member. What it was given stays with it as long as its session. */
  leave(session: Session): boolean {
    session.groups?.delete(this);
    const isMember = this.#members.remove(session);
    if (this.isIdle) this.#parts.onIdle();
    return isMember;
  }

  presenceChanged(): void {
    this.#members.presenceChanged();
    this.#handOver();
  }

  /** Gives it to one member; false when nobody can have it. */
  deliver(message: SharedMessage): boolean {
    const { publication, sequence, clientId } = message;
    // What comes from elsewhere has no publisher here; its topic belongs together as well.
    const member = this.#members.choose(clientId === '' ? publication.topic : clientId);
    if (member === null) return false;
    this.#give(member, message);
    if (member.session.outbox.isCrowded) this.#awaitRoom();
    if (member.granted.qos === 0 && publication.qos > 0) {
      // After a crash nobody else is to get it, either.
      this.expect(sequence);
      this.settled(sequence);
    }
    return true;
  }

  /** After a start: true when the group owes it, and somebody has it now. */
  owe(message: SharedMessage, isHeld: boolean): boolean {
    const { publication, sequence } = message;
    if (publication.qos === 0 || this.#journal?.isSettled(sequence) !== false) return false;
    if (!isHeld) return this.deliver(message);
    this.expect(sequence);
    return true;
  }

  expect(sequence: number): void {
    this.#journal?.expect(sequence);
  }

  skipped(sequence: number): void {
    this.#journal?.skipped(sequence);
  }

  settled(sequence: number): void {
    this.#journal?.settled(sequence);
    if (this.isIdle) this.#parts.onIdle();
  }

  async commit(): Promise<void> {
    await this.#journal?.commit();
  }

  passOn(delivery: Delivery): boolean {
    return this.#adopt(this.#members.chooseForOwed(keyOf(delivery)), delivery);
  }

  /** What waits for members that are away or don't keep up goes to those that do. */
  #handOver(): void {
    const take = (delivery: Delivery) =>
      this.#adopt(this.#members.chooseToSpare(keyOf(delivery)), delivery);
    for (const session of this.#members.behind()) {
      const isAll = session.outbox.handOver(this, take);
      if (!isAll) {
        this.#awaitRoom();
        return;
      }
    }
  }

  /** Once for each member at a time, whatever becomes of it. */
  #awaitRoom(): void {
    for (const member of this.#members.connected) {
      if (this.#awaited.has(member)) continue;
      this.#awaited.add(member);
      void member.session.outbox.room().then(() => {
        this.#awaited.delete(member);
        this.#handOver();
      });
    }
  }

  #adopt(member: Member | null, delivery: Delivery): boolean {
    if (member === null) return false;
    const qos = Math.min(member.granted.qos, delivery.qos) as Qos;
    member.session.outbox.adopt({ ...delivery, qos, identifiers: identifiersOf(member) });
    return true;
  }

  #give(member: Member, { publication, sequence }: SharedMessage): void {
    const { session, granted } = member;
    const qos = Math.min(granted.qos, publication.qos) as Qos;
    session.outbox.deliver({
      sequence,
      qos,
      retain: granted.retainAsPublished && publication.retain,
      publication,
      identifiers: identifiersOf(member),
      owner: qos === 0 ? null : this,
    });
  }
}

function identifiersOf({ granted: { identifier } }: Member): readonly number[] {
  return identifier > 0 ? [identifier] : noIdentifiers;
}

/** Its publisher is not known any more. */
function keyOf({ sequence }: Delivery): string {
  return String(sequence);
}
