/** The state store on a file of the layout before session expiry, options and will properties. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { createLog } from '../../base/log.ts';
import { openSqlite } from '../../base/sqlite.ts';
import { StateStore } from '../../broker/store/state-store.ts';

const parts = {
  log: createLog({ level: 'silent', format: 'json', tier: 'test' }),
  clock: systemClock,
};
let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trunkline-layout-'));
  file = join(folder, 'state.db');
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('a file of the first layout keeps its rows and gets the columns that it lacks', async () => {
  const old = await openSqlite(file, { synchronous: 'FULL' });
  await old.exec(`
    CREATE TABLE session (client_id TEXT, began_at INTEGER, settled_through INTEGER,
      disconnected_at INTEGER, username TEXT, connected_at INTEGER, PRIMARY KEY (client_id)) WITHOUT ROWID;
    CREATE TABLE subscription (client_id TEXT, filter TEXT, qos INTEGER, since INTEGER,
      PRIMARY KEY (client_id, filter)) WITHOUT ROWID;
    CREATE TABLE will (client_id TEXT, topic TEXT, payload BLOB, qos INTEGER, retain INTEGER,
      PRIMARY KEY (client_id)) WITHOUT ROWID;
    INSERT INTO session VALUES ('c', 1, 2, 3, 'u', 4);
    INSERT INTO subscription VALUES ('c', 'a/#', 1, 5);
    INSERT INTO will VALUES ('c', 'w', x'00', 1, 0);`);
  await old.close();
  for (let round = 0; round < 2; round++) {
    const store = await StateStore.open(parts, file);
    const [session] = await store.load<Record<string, unknown>>(store.sessions);
    assert.deepEqual([session?.['username'], session?.['expiry_seconds']], ['u', null]);
    const [subscription] = await store.load<Record<string, unknown>>(store.subscriptions);
    const { no_local, retain_as_published, identifier } = subscription ?? {};
    assert.deepEqual([no_local, retain_as_published, identifier], [0, 0, 0]);
    const [will] = await store.load<Record<string, unknown>>(store.wills);
    assert.deepEqual(
      [will?.['properties'], will?.['delay_seconds'], will?.['due_at']],
      [null, 0, 0],
    );
    await store.close();
  }
  const store = await StateStore.open(parts, file);
  store.sessions.put(['c', 1, 2, 3, 'u', 4, 60]);
  await store.commit();
  const [session] = await store.load<Record<string, unknown>>(store.sessions);
  assert.equal(session?.['expiry_seconds'], 60);
  await store.close();
});

test('a file of a later layout is left alone', async () => {
  const later = await openSqlite(file, { synchronous: 'FULL' });
  await later.exec('PRAGMA user_version = 1000');
  await later.close();
  await assert.rejects(StateStore.open(parts, file), /layout 1000/);
});
