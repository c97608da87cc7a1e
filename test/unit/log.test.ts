/**
 * What the embedded backplane does beyond the contract of all: one commit for many, trimming, and
 * forgetting the spools that edges no longer have.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Publication } from '../../base/publication.ts';
import { openSqlite } from '../../base/sqlite.ts';
import type { Backplane, LogBatch } from '../../core/backplane/backplane.ts';
import { EmbeddedBackplane } from '../../core/backplane/embedded.ts';
import { common, publication, withFolder } from '../support/trunk-world.ts';

async function withLog(work: (log: Backplane, file: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const file = join(folder, 'log.db');
    const log = await EmbeddedBackplane.open(common(), { file });
    try {
      await work(log, file);
    } finally {
      await log.close();
    }
  });
}

function payloads(batches: readonly LogBatch[]): string[] {
  return batches.flatMap((batch) => batch.publications.map(({ payload }) => payload.toString()));
}

function several(count: number, from = 1): Publication[] {
  return Array.from({ length: count }, (_, i) => publication('a/b', `m${from + i}`));
}

test('appends that wait together become durable in one commit, in order', async () => {
  await withLog(async (log) => {
    const heard: string[] = [];
    log.onAppended((batches) => heard.push(`listener ${payloads(batches).join()}`));
    await Promise.all(
      [1, 2, 3].map((n) =>
        log.append([
          {
            lane: 0,
            publications: several(1, n),
            source: null,
            onDurable: () => heard.push(`durable ${n}`),
          },
        ]),
      ),
    );
    assert.deepEqual(heard, ['durable 1', 'durable 2', 'durable 3', 'listener m1,m2,m3']);
  });
});

test('age trims what every reader has, bytes trim whatever the readers have', async () => {
  await withLog(async (log, file) => {
    for (let i = 1; i <= 10; i++) {
      await log.append([{ lane: 0, publications: several(1, i), source: null }]);
    }
    const later = Date.now() + 1_000;
    const trim = (bytesMax: number, readThrough: number) =>
      log.trim({ bytesMax, stepBytes: 1e9, before: later, readThrough: () => readThrough });
    assert.ok((await trim(1e9, 4)) > 0);
    assert.deepEqual([log.oldest(0), log.head(0)], [5, 10]);
    assert.equal(await trim(1e9, 4), 0);
    assert.ok((await trim(300, 4)) > 0);
    assert.ok(log.oldest(0) > 5);
    await trim(0, 0);
    assert.deepEqual([log.oldest(0), log.head(0)], [11, 10]);
    await log.close();
    const again = await EmbeddedBackplane.open(common(), { file });
    assert.deepEqual([again.oldest(0), again.head(0)], [11, 10]);
    await again.close();
  });
});

test('what an edge wrote with a spool that it no longer has is forgotten when the next one writes', async () => {
  await withLog(async (log, file) => {
    const write = (edgeId: string, epoch: string, lane: number) =>
      log.append([
        { lane, publications: several(2), source: { edgeId, epoch, lane, firstSequence: 1 } },
      ]);
    for (const epoch of ['s1', 's2', 's3']) {
      for (const lane of [0, 1]) await write('e', epoch, lane);
    }
    await write('other', 's1', 0);
    assert.equal(log.openSource({ edgeId: 'e', epoch: 's1' }, 0, 1), 0);
    assert.equal(log.openSource({ edgeId: 'e', epoch: 's3' }, 1, 1), 2);
    await log.close();
    const database = await openSqlite(file, { synchronous: 'NORMAL' });
    const rows = await database.all('SELECT edge_id, epoch, lane FROM edge_sequence ORDER BY 1, 3');
    await database.close();
    assert.deepEqual(rows, [
      { edge_id: 'e', epoch: 's3', lane: 0 },
      { edge_id: 'e', epoch: 's3', lane: 1 },
      { edge_id: 'other', epoch: 's1', lane: 0 },
    ]);
  });
});

test('a large trim goes in steps, so that no commit waits for all of it', async () => {
  await withLog(async (log) => {
    const large = Array.from({ length: 4 }, () => publication('a/b', 'x'.repeat(1_000_000)));
    for (let i = 0; i < 10; i++) await log.append([{ lane: 0, publications: large, source: null }]);
    const trim = () => log.trim({ bytesMax: 0, stepBytes: 16e6, before: 0, readThrough: () => 0 });
    const steps = [await trim(), await trim(), await trim()];
    assert.deepEqual(
      steps.map((freed) => Math.round(freed / 1e6)),
      [16, 16, 8],
    );
    assert.deepEqual([log.oldest(0), log.head(0)], [41, 40]);
  });
});
