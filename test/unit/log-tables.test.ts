/**
 * How a plan gets to the disk: a small one in one trip to the database, a large one statement by
 * statement, both with the same outcome, and none of it when any of it fails.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Publication } from '../../base/publication.ts';
import { openSqlite, type SqlDatabase, type SqlRow } from '../../base/sqlite.ts';
import { CommitPlan } from '../../core/backplane/commit-plan.ts';
import { schema, writePlan } from '../../core/backplane/log-tables.ts';
import { SourceBook } from '../../core/backplane/source-book.ts';
import { transactionText } from '../../core/backplane/sql-text.ts';
import { publication, withFolder } from '../support/trunk-world.ts';

const now = 1_700_000_000_000;
const nasty = `it's "x'00'", ?1 \0 ); DROP TABLE log; -- 🌡`;

async function withTables(work: (database: SqlDatabase) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const database = await openSqlite(join(folder, 'log.db'), { synchronous: 'FULL' });
    try {
      await database.exec(schema);
      await work(database);
    } finally {
      await database.close();
    }
  });
}

/** One edge's batch; what is retained is set or, when it is empty, deleted. */
function planOf(publications: readonly Publication[], heads = [0, 0, 0, 0]): CommitPlan {
  const sources = new SourceBook();
  sources.load([{ edgeId: nasty, epoch: 'before', lane: 0, through: 7 }]);
  const plan = new CommitPlan({ heads, sources, now, logEpoch: 'log' });
  const source = { edgeId: nasty, epoch: 's1', lane: 3, firstSequence: 1 };
  plan.add({ lane: 1, publications, source });
  return plan;
}

function retained(topic: string, payload: string): Publication {
  return { ...publication(topic, payload), retain: true };
}

/** The database, with what was asked of it. */
function counted(database: SqlDatabase): { database: SqlDatabase; calls: string[] } {
  const calls: string[] = [];
  const noted = (sql: string) => calls.push(sql.split(' ', 1)[0] ?? '');
  return {
    calls,
    database: {
      exec: (sql) => {
        noted(sql);
        return database.exec(sql);
      },
      run: (sql, params) => {
        noted(sql);
        return database.run(sql, params);
      },
      all: (sql, params) => database.all(sql, params),
      close: () => database.close(),
    },
  };
}

async function contents(database: SqlDatabase): Promise<Record<string, SqlRow[]>> {
  const all: Record<string, SqlRow[]> = {};
  for (const table of ['log', 'lane_head', 'edge_sequence', 'retained']) {
    all[table] = await database.all(`SELECT * FROM ${table} ORDER BY 1, 2`);
  }
  return all;
}

const before = `INSERT INTO edge_sequence VALUES (CAST(? AS TEXT), 'before', 0, 7)`;

/** The rows of the log are written when this fails. */
const refusing = `CREATE TRIGGER refusing BEFORE INSERT ON retained
  BEGIN SELECT RAISE(FAIL, 'refused'); END`;

test('a small commit is one trip to the database', async () => {
  await withTables(async (database) => {
    const { calls, database: seen } = counted(database);
    await writePlan(seen, planOf([publication('a/b', 'm1'), retained(nasty, 'kept')]));
    assert.deepEqual(calls, ['BEGIN']);
  });
});

test('a large commit copies no payload into a text', async () => {
  await withTables(async (database) => {
    const { calls, database: seen } = counted(database);
    await writePlan(seen, planOf([publication('a/b', 'x'.repeat(20_000))]));
    assert.deepEqual(calls, ['BEGIN', 'INSERT', 'INSERT', 'DELETE', 'INSERT', 'COMMIT']);
  });
});

test('small and large commits leave the same rows', async () => {
  const publications = [retained(nasty, nasty), retained('a/gone', ''), retained('a/c', 'm3')];
  await withTables(async (small) => {
    await withTables(async (large) => {
      await small.run(before, [nasty]);
      await large.run(before, [nasty]);
      await writePlan(small, planOf(publications));
      const plan = planOf(publications);
      // What makes it large is a retained message of its own, which is taken away again.
      plan.retained.set('a/large', Buffer.alloc(20_000));
      await writePlan(large, plan);
      await large.run('DELETE FROM retained WHERE topic = ?', ['a/large']);
      const written = await contents(small);
      assert.deepEqual(written, await contents(large));
      assert.deepEqual(
        written['edge_sequence']?.map(({ edge_id, through }) => [edge_id, through]),
        [[nasty, 3]],
      );
      assert.deepEqual(
        written['retained']?.map(({ topic }) => topic),
        ['a/c', nasty],
      );
    });
  });
});

test('a small commit that fails midway leaves nothing, and the next one goes through', async () => {
  await withTables(async (database) => {
    await writePlan(database, planOf([publication('a/b', 'm1')]));
    const written = await contents(database);
    await database.exec(refusing);
    const refused = planOf([publication('a/b', 'm2'), retained('a/c', 'm3')], [0, 1, 0, 0]);
    await assert.rejects(writePlan(database, refused), { code: 'store-failing' });
    await database.exec('DROP TRIGGER refusing');
    assert.deepEqual(await contents(database), written);
    await writePlan(database, planOf([publication('a/b', 'm2')], [0, 1, 0, 0]));
    assert.equal((await contents(database))['log']?.length, 2);
  });
});

test('a number that is not whole stands in no text', () => {
  for (const number of [0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 60]) {
    assert.throws(() => transactionText([{ sql: 'SELECT ?', params: [number] }]), RangeError);
  }
});
