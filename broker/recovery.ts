/**
 * Brings the sessions back after a start: rows of the state store first, then the log, entry by
 * entry, for what the store does not know yet. Every step may be repeated: an entry that a session
 * has had is recognised by its sequence.
 */
import type { Publication, Qos } from '../base/publication.ts';
import type { Parking } from './parking.ts';
import type { LoggedEntry, MessageLog } from './ports.ts';
import type { Retained } from './routing/retained.ts';
import type { Router } from './routing/router.ts';
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
}

/** Returns how many sessions and log entries were brought back. */
export async function recover(
  parts: RecoveryParts,
): Promise<{ sessions: number; entries: number }> {
  const { store, sessions, messageLog, retained } = parts;
  retained.restore(await store.load<RetainedRow>(store.retained));
  await restoreSessions(parts);
  const inflight = await restoreInflight(parts);
  await parts.parking.restore((publication, sequence) =>
    owe(parts, { publication, sequence, clientId: '' }, inflight),
  );
  let entries = 0;
  for await (const chunk of messageLog.read(1)) {
    for (const entry of chunk) {
      replay(parts, entry, inflight);
      entries++;
    }
  }
  return { sessions: sessions.count, entries };
}

async function restoreSessions({ store, sessions, router }: RecoveryParts): Promise<void> {
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
  }
  for (const row of await store.load<ReceivedRow>(store.received)) {
    const unreleased = { isDurable: true, isNoted: true };
    sessions.get(row.client_id)?.received.set(row.packet_id, unreleased);
  }
}

/** Handshakes of QoS 2 under way, in log order; answers which sequences they hold by session. */
async function restoreInflight({
  store,
  sessions,
}: RecoveryParts): Promise<Map<Session, Set<number>>> {
  const held = new Map<Session, Set<number>>();
  const rows = await store.load<InflightRow>(store.inflight);
  for (const row of rows.toSorted((a, b) => a.sequence - b.sequence)) {
    const session = sessions.get(row.client_id);
    if (session === undefined) continue;
    const { sequence } = row;
    const delivery = {
      sequence,
      qos: 2,
      retain: false,
      publication: null,
      identifiers: [],
      owner: null,
    } as const;
    session.outbox.restoreInflight(row.packet_id, delivery, row.is_released === 1);
    held.set(session, (held.get(session) ?? new Set()).add(sequence));
  }
  return held;
}

function replay(
  parts: RecoveryParts,
  entry: LoggedEntry,
  inflight: Map<Session, Set<number>>,
): void {
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
  if (!parts.parking.has(sequence)) owe(parts, { publication, sequence, clientId }, inflight);
}

/** Queues it for every kept session that wants it and has not had it; answers how many. */
function owe(
  parts: RecoveryParts,
  entry: {
    readonly publication: Publication;
    readonly sequence: number;
    /** Of the publisher, where a subscription without its own messages may be its own. */
    readonly clientId: string;
  },
  inflight: Map<Session, Set<number>>,
): number {
  const { publication, sequence, clientId } = entry;
  const publisher = parts.sessions.get(clientId) ?? null;
  let owners = 0;
  for (const target of parts.router.wantedSince(publication.topic, { sequence, publisher })) {
    const { session, identifiers, retainAsPublished } = target;
    const qos = Math.min(target.qos, publication.qos) as Qos;
    if (qos === 0 || session.journal === null || session.journal.isSettled(sequence)) continue;
    owners++;
    if (inflight.get(session)?.has(sequence) === true) session.journal.expect(sequence);
    else {
      const retain = retainAsPublished && publication.retain;
      const delivery = { sequence, qos, retain, publication: null, identifiers, owner: null };
      session.outbox.deliver(delivery);
    }
  }
  return owners;
}
