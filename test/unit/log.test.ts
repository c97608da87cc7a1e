/**
 * The embedded backplane on a real file: positions, repeats and gaps by sequence, retained messages,
 * trimming, and that a reopened file says the same.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Publication } from '../../base/publication.ts';
import { openSqlite } from '../../base/sqlite.ts';
import type { Backplane, LogBatch } from '../../core/backplane/backplane.ts';
import { EmbeddedBackplane } from '../../core/backplane/embedded.ts';
import { common, publication, withFolder } from '../support/trunk-world.ts';

const source = (firstSequence: number, lane = 0) => ({
  edgeId: 'e',
  epoch: 's1',
  lane,
  firstSequence,
});

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

async function retainedOf(log: Backplane): Promise<Publication[]> {
  const all: Publication[] = [];
  for await (const some of log.readRetained()) all.push(...some);
  return all;
}

function several(count: number, from = 1): Publication[] {
  return Array.from({ length: count }, (_, i) => publication('a/b', `m${from + i}`));
}

test('positions count up by one in each lane, and are read back from any of them', async () => {
  await withLog(async (log) => {
    const [first] = await log.append([{ lane: 1, publications: several(3), source: null }]);
    const [second] = await log.append([{ lane: 1, publications: several(2, 4), source: null }]);
    await log.append([{ lane: 2, publications: several(1, 9), source: null }]);
    assert.deepEqual([first?.firstPosition, second?.firstPosition], [1, 4]);
    assert.deepEqual([log.head(0), log.head(1), log.head(2)], [0, 5, 1]);
    const from = async (position: number) =>
      (await log.read(1, { position, bytesMax: 1e6 })).map((batch) => batch.firstPosition);
    assert.deepEqual(
      [await from(0), await from(2), await from(3), await from(5)],
      [[1, 4], [1, 4], [4], []],
    );
    assert.deepEqual(payloads(await log.read(1, { position: 3, bytesMax: 1 })), ['m4', 'm5']);
  });
});

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

test('a repeat is answered and left out, a batch repeated in part brings its new part', async () => {
  await withLog(async (log) => {
    assert.equal(log.openSource(source(1), 0, 1), 0);
    await log.append([{ lane: 0, publications: several(3), source: source(1) }]);
    const [repeat] = await log.append([{ lane: 0, publications: several(3), source: source(1) }]);
    const [partly] = await log.append([{ lane: 0, publications: several(4), source: source(1) }]);
    assert.deepEqual(repeat, { firstPosition: 0, repeats: 3 });
    assert.deepEqual(partly, { firstPosition: 4, repeats: 3 });
    assert.equal(log.openSource(source(1), 0, 1), 4);
    assert.deepEqual(payloads(await log.read(0, { position: 0, bytesMax: 1e6 })), [
      'm1',
      'm2',
      'm3',
      'm4',
    ]);
  });
});

test('a gap is refused alone, also when what it lacks was refused in the same commit', async () => {
  await withLog(async (log) => {
    log.openSource(source(1), 0, 1);
    const results = await Promise.allSettled([
      log.append([{ lane: 0, publications: several(2), source: source(1) }]),
      log.append([{ lane: 0, publications: several(2), source: source(4) }]),
      log.append([{ lane: 0, publications: several(1), source: source(6) }]),
      log.append([{ lane: 0, publications: several(1, 3), source: source(3) }]),
    ]);
    assert.deepEqual(
      results.map((result) => (result.status === 'rejected' ? result.reason.code : 'taken')),
      ['taken', 'lane-gap', 'lane-gap', 'taken'],
    );
    assert.equal(log.head(0), 3);
  });
});

test('an edge whose lane is not known starts below the oldest sequence that it holds', async () => {
  await withLog(async (log) => {
    assert.equal(log.openSource(source(1), 3, 41), 40);
    await log.append([{ lane: 3, publications: several(1), source: source(41, 3) }]);
    assert.equal(log.openSource({ edgeId: 'e', epoch: 's2' }, 3, 1), 0);
  });
});

test('a reopened log has its epoch, positions, sequences and retained messages', async () => {
  await withLog(async (log, file) => {
    const kept = publication('state/on', 'yes', { retain: true });
    const dropped = publication('state/off', 'no', { retain: true });
    log.openSource(source(1), 0, 1);
    await log.append([{ lane: 0, publications: [kept, dropped], source: source(1) }]);
    const emptied = { ...dropped, payload: Buffer.alloc(0) };
    await log.append([{ lane: 0, publications: [emptied], source: null }]);
    await log.close();
    const again = await EmbeddedBackplane.open(common(), { file });
    assert.equal(again.logEpoch, log.logEpoch);
    assert.equal(again.head(0), 3);
    assert.equal(again.openSource(source(1), 0, 1), 2);
    assert.deepEqual(
      (await retainedOf(again)).map(({ topic, payload }) => [topic, payload.toString()]),
      [['state/on', 'yes']],
    );
    const [batch] = await again.read(0, { position: 0, bytesMax: 1e6 });
    assert.deepEqual(batch?.publications[0]?.payload, kept.payload);
    assert.ok(Math.abs((batch?.publications[0]?.acceptedAt ?? 0) - kept.acceptedAt) < 1_000);
    await again.close();
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

test('a closed log refuses', async () => {
  await withLog(async (log) => {
    await log.close();
    await assert.rejects(log.append([{ lane: 0, publications: several(1), source: null }]), {
      code: 'store-failing',
    });
  });
});
