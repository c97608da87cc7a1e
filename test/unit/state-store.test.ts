/** The state store on a disk that fails. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { createLog } from '../../base/log.ts';
import { openSqlite, type SqlDatabase } from '../../base/sqlite.ts';
import { StateStore } from '../../broker/store/state-store.ts';

const log = createLog({ level: 'silent', format: 'json', tier: 'test' });
/** Time runs a hundred times as fast: the store waits seconds between its attempts. */
const clock = {
  ...systemClock,
  after: (ms: number, fn: () => void) => systemClock.after(ms / 100, fn),
};
let folder: string;
let file: string;
let other: SqlDatabase;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trunkline-store-'));
  file = join(folder, 'state.db');
});

after(async () => {
  await other.close();
  await rm(folder, { recursive: true, force: true });
});

test('a commit is tried until it succeeds, and a close gives up on a disk that does not', async () => {
  const store = await StateStore.open({ log, clock }, file);
  other = await openSqlite(file, { synchronous: 'NORMAL' });
  await other.exec('ALTER TABLE received RENAME TO elsewhere');
  store.received.put(['client', 1]);
  let isDurable = false;
  const committed = store.commit().then(() => {
    isDurable = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(isDurable, false);
  await other.exec('ALTER TABLE elsewhere RENAME TO received');
  await committed;
  assert.deepEqual(await store.load(store.received), [{ client_id: 'client', packet_id: 1 }]);
  await other.exec('DROP TABLE received');
  store.received.put(['client', 2]);
  await store.close();
});
