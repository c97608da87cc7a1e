/** What an edge says of itself after the fuzz clients have gone: nothing of theirs is left. */
import { join } from 'node:path';
import { openSqlite, type SqlDatabase } from '../../base/sqlite.ts';
import { metric } from '../support/fleet.ts';
import type { RunningProcess } from '../support/processes.ts';
import { connectPacket, RawClient } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

const atOnce = 32;

export interface Held {
  readonly connections: number;
  readonly sessions: number;
  readonly subscriptions: number;
  readonly queued: number;
}

export async function heldBy(edge: RunningProcess): Promise<Held> {
  return {
    connections: await metric(edge, 'trunkline_connections'),
    sessions: await metric(edge, 'trunkline_sessions'),
    subscriptions: await metric(edge, 'trunkline_subscriptions'),
    queued: await metric(edge, 'trunkline_queued_messages'),
  };
}

export function residentBytes(edge: RunningProcess): Promise<number> {
  return metric(edge, 'trunkline_process_resident_bytes');
}

/** Client identifiers of the sessions that are kept, as the edge has stored them. */
async function keptSessions(database: SqlDatabase): Promise<string[]> {
  const rows = await database.all<{ client_id: string }>('SELECT client_id FROM session');
  return rows.map((row) => row.client_id);
}

/** A clean connect ends the session, whichever version of MQTT began it. */
async function discard(port: number, clientId: string): Promise<void> {
  const raw = await RawClient.open(port);
  raw.send(connectPacket(clientId));
  await raw.nextOf(2);
  raw.send(Buffer.of(0xe0, 0));
  await raw.closed;
}

/**
 * Ends every kept session, and resolves when the gauges are what they were before the campaign;
 * rejects with the difference. A session that is neither connected nor stored would stay.
 * Answers how many sessions were kept.
 */
export async function sweep(edge: RunningProcess, before: Held): Promise<number> {
  await untilHeld(edge, 'no connection is left', (now) => now.connections === before.connections);
  const names = await storedSessions(edge, before);
  const waiting = [...names];
  const worker = async () => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      await discard(edge.port('mqtt'), name);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  await untilHeld(
    edge,
    'the gauges are what they were',
    (now) => JSON.stringify(now) === JSON.stringify(before),
  );
  return names.length;
}

/** Answers them when there are as many as the edge says it has, but for those of others. */
async function storedSessions(edge: RunningProcess, before: Held): Promise<string[]> {
  const file = join(edge.data, 'edge', 'state.db');
  const database = await openSqlite(file, { synchronous: 'NORMAL' });
  let names: string[] = [];
  try {
    await untilHeld(edge, 'every session left is a stored one', async (now) => {
      names = await keptSessions(database);
      return now.sessions === before.sessions + names.length;
    });
  } catch (error) {
    const { message } = error as Error;
    throw new Error(`${message}; stored are ${JSON.stringify(names)}`, { cause: error });
  } finally {
    await database.close();
  }
  return names;
}

async function untilHeld(
  edge: RunningProcess,
  what: string,
  condition: (now: Held) => boolean | Promise<boolean>,
): Promise<void> {
  let now = await heldBy(edge);
  await until(async () => {
    now = await heldBy(edge);
    return condition(now);
  }, what).catch((error: Error) => {
    throw new Error(`${error.message}; the edge holds ${JSON.stringify(now)}`);
  });
}
