/**
 * Brings the sessions back after a start: rows of the state store first, then the log, entry by
 * entry, for what the store does not know yet. Every step may be repeated: an entry that a session
 * has had is recognised by its sequence.
 */
import type { Publication, Qos } from '../base/publication.ts';
import type { DeliveryOwner } from './delivery.ts';
import type { Parking } from './parking.ts';
import type { LoggedEntry, MessageLog } from './ports.ts';
import type { RetainedReplays } from './retained-replays.ts';
import type { Retained } from './routing/retained.ts';
import type { Router } from './routing/router.ts';
import type { SharedGroup } from './routing/shared-group.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';
import type {
  InflightRow,
  ReceivedRow,
  RetainedRow,
  SessionRow,
  SettledRow,
  StateStore,
  SubscriptionRow,
} from './store/state-store.ts';

export interface RecoveryParts {
  readonly store: StateStore;
  readonly messageLog: MessageLog;
  readonly sessions: Sessions;
  readonly parking: Parking;
  readonly router: Router;
  readonly retained: Retained;
  readonly replays: RetainedReplays;
}

/** Log sequences by who owes them. */
type Sequences = Map<Session | SharedGroup, Set<number>>;

/** Of QoS 2. */
interface Handshakes {
  /** Under way: who has begun goes on. */
  readonly held: Sequences;
  /** Begun by a session that ended with the process: nobody else may get it [MQTT-4.8.2-5]. */
  readonly ended: Sequences;
}

/** Returns how many sessions and log entries were brought back. */
export async function recover(
  parts: RecoveryParts,
): Promise<{ sessions: number; entries: number }> {
  const { store, sessions, messageLog, retained } = parts;
  retained.restore(await store.load<RetainedRow>(store.retained));
  const { groups } = parts.router;
  await groups.restore();
  await restoreSessions(parts);
  groups.endIdle();
  const handshakes = await restoreInflight(parts);
  await parts.parking.restore((publication, sequence) =>
    owe(parts, { publication, sequence, clientId: '' }, handshakes),
  );
  let entries = 0;
  for await (const chunk of messageLog.read(1)) {
    for (const entry of chunk) {
      replay(parts, entry, handshakes);
      entries++;
    }
  }
  return { sessions: sessions.count, entries };
}

async function restoreSessions({ store, sessions, router, replays }: RecoveryParts): Promise<void> {
  const ahead = new Map<string, Set<number>>();
  for (const row of await store.load<SettledRow>(store.settled)) {
    const known = ahead.get(row.client_id) ?? new Set();
    ahead.set(row.client_id, known.add(row.sequence));
  }
  for (const row of await store.load<SessionRow>(store.sessions)) {
    // It was to end with its connection, which ended with the process.
    if (row.expiry_seconds === 0) store.dropSession(row.client_id);
    else sessions.restore(row, ahead.get(row.client_id) ?? new Set());
  }
  for (const row of await store.load<SubscriptionRow>(store.subscriptions)) {
    const session = sessions.get(row.client_id);
    if (session === undefined) continue;
    const granted = {
      qos: row.qos as Qos,
      since: row.since,
      noLocal: row.no_local === 1,
      retainAsPublished: row.retain_as_published === 1,
      identifier: row.identifier,
    };
    session.subscriptions.set(row.filter, granted);
    // No core is connected yet: its retained messages come with the first interest.
    await router.subscribe(session, row.filter, granted);
    if (row.is_replaying === 1) replays.due(session, row.filter, Promise.resolve());
  }
  for (const row of await store.load<ReceivedRow>(store.received)) {
    const unreleased = { isDurable: true, isNoted: true };
    sessions.get(row.client_id)?.received.set(row.packet_id, unreleased);
  }
}

/** Handshakes of QoS 2 under way, in log order. */
async function restoreInflight({ store, sessions, router }: RecoveryParts): Promise<Handshakes> {
  const handshakes: Handshakes = { held: new Map(), ended: new Map() };
  const rows = await store.load<InflightRow>(store.inflight);
  for (const row of rows.toSorted((a, b) => a.sequence - b.sequence)) {
    const { sequence } = row;
    const group = router.groups.get(row.owner);
    const session = sessions.get(row.client_id);
    if (session === undefined) {
      if (group !== undefined) note(handshakes.ended, group, sequence);
      continue;
    }
    const owner = row.owner === '' ? null : (group ?? formerOwner(row.owner));
    const delivery = {
      sequence,
      qos: 2,
      retain: false,
      publication: null,
      identifiers: [],
      owner,
    } as const;
    // A retained message is in no log, and comes again under another identifier: this one is done
    // with, which the client hears by PUBREL.
    const isReleased = row.is_released === 1 || sequence === 0;
    session.outbox.restoreInflight(row.packet_id, delivery, isReleased);
    note(handshakes.held, group ?? session, sequence);
  }
  return handshakes;
}

function note(sequences: Sequences, owner: Session | SharedGroup, sequence: number): void {
  sequences.set(owner, (sequences.get(owner) ?? new Set()).add(sequence));
}

/** A shared subscription that has ended, while a member completes what it was sent of it. */
function formerOwner(name: string): DeliveryOwner {
  return {
    name,
    isKept: false,
    expect: () => {},
    skipped: () => {},
    settled: () => {},
    commit: async () => {},
    passOn: () => false,
  };
}

function replay(parts: RecoveryParts, entry: LoggedEntry, handshakes: Handshakes): void {
  const publisher = parts.sessions.get(entry.clientId);
  const isOfSession = publisher !== undefined && entry.sequence > publisher.identity.beganAt;
  if (entry.kind === 'release') {
    if (isOfSession) publisher.release(entry.packetId);
    return;
  }
  if (isOfSession && entry.packetId > 0 && !publisher.received.has(entry.packetId)) {
    publisher.received.set(entry.packetId, { isDurable: true, isNoted: false });
  }
  const { publication, sequence, clientId } = entry;
  if (publication.retain) parts.retained.set(publication, sequence);
  if (!parts.parking.has(sequence)) owe(parts, { publication, sequence, clientId }, handshakes);
}

interface OwedEntry {
  readonly publication: Publication;
  readonly sequence: number;
  /** Of the publisher, where a subscription without its own messages may be its own. */
  readonly clientId: string;
}

/** Queues it for every kept session that wants it and has not had it, and for one of each shared
 * subscription; answers how many. */
function owe(parts: RecoveryParts, entry: OwedEntry, handshakes: Handshakes): number {
  const { publication, sequence, clientId } = entry;
  const publisher = parts.sessions.get(clientId) ?? null;
  const wanted = parts.router.wantedSince(publication.topic, { sequence, publisher });
  let owners = 0;
  for (const target of wanted.targets) {
    const { session, identifiers, retainAsPublished } = target;
    const qos = Math.min(target.qos, publication.qos) as Qos;
    if (qos === 0 || session.journal === null || session.journal.isSettled(sequence)) continue;
    owners++;
    if (handshakes.held.get(session)?.has(sequence) === true) session.journal.expect(sequence);
    else {
      const retain = retainAsPublished && publication.retain;
      const delivery = { sequence, qos, retain, publication: null, identifiers, owner: null };
      session.outbox.deliver(delivery);
    }
  }
  for (const group of wanted.groups) if (oweGroup(group, entry, handshakes)) owners++;
  return owners;
}

function oweGroup(group: SharedGroup, entry: OwedEntry, { held, ended }: Handshakes): boolean {
  const { sequence } = entry;
  const isEnded = ended.get(group)?.has(sequence) === true;
  const isHeld = isEnded || held.get(group)?.has(sequence) === true;
  const isOwed = group.owe(entry, isHeld);
  if (isEnded) group.settled(sequence);
  return isOwed && !isEnded;
}
