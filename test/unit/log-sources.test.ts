/** Where the publications of the embedded log entered, also in one of before, and on the wire. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { openSqlite } from '../../base/sqlite.ts';
import type { LogBatch } from '../../core/backplane/backplane.ts';
import { EmbeddedBackplane } from '../../core/backplane/embedded.ts';
import { TopicDecoder, TopicEncoder } from '../../proto/wire.ts';
import { common, publication, withFolder } from '../support/trunk-world.ts';

async function withLog(work: (log: EmbeddedBackplane, file: string) => Promise<void>) {
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

const source = (firstSequence: number) => ({ edgeId: 'e', epoch: 's', lane: 9, firstSequence });

/** Topics of several lanes, each with its number as its text. */
const mixed = Array.from({ length: 20 }, (_, i) => publication(`m/${i % 7}`, `${i + 1}`));

const placesOf = (batches: readonly LogBatch[]) =>
  batches.flatMap((batch) =>
    batch.publications.map(({ payload }, i) => {
      const place = batch.placeAt(i);
      return [payload.toString(), place?.sequence, place?.source.lane];
    }),
  );

test('a log of before knows where its rows entered, and takes new ones', async () => {
  await withLog(async (log, file) => {
    log.openSource(source(41), 9, 41);
    await log.append([{ lane: 2, publications: mixed.slice(0, 3), source: source(41) }]);
    await log.close();
    const database = await openSqlite(file, { synchronous: 'NORMAL' });
    await database.exec('ALTER TABLE log DROP COLUMN source_lane');
    await database.close();
    const again = await EmbeddedBackplane.open(common(), { file });
    try {
      const places = () => again.read(2, { position: 0, bytesMax: 1e6 }).then(placesOf);
      assert.deepEqual((await places())[2], ['3', 43, 2]);
      await again.append([{ lane: 2, publications: mixed.slice(3, 4), source: source(44) }]);
      assert.deepEqual((await places())[3], ['4', 44, 9]);
    } finally {
      await again.close();
    }
  });
});

test('where publications entered crosses the wire, for those that have it', () => {
  const places = [
    { source: { origin: 'a', epoch: 'e', lane: 1 }, sequence: 2 ** 40 },
    { source: { origin: 'a', epoch: 'e', lane: 2 }, sequence: 3 },
    null,
    { source: { origin: 'b', epoch: 'f', lane: 1 }, sequence: 1 },
    { source: { origin: 'a', epoch: 'e', lane: 1 }, sequence: 2 ** 40 + 1 },
  ];
  const items = places.map((from, i) => ({
    sequence: i + 1,
    publication: publication('t', `${i}`, { origin: from?.source.origin ?? 'gateway' }),
    from,
  }));
  const now = Date.now();
  const batch = new TopicEncoder().encode(items, { now });
  const decoded = new TopicDecoder().decode(batch, { now, origin: 'core' });
  assert.deepEqual(
    decoded.map(({ from }) => from),
    places,
  );
  batch.sources.pop();
  assert.throws(() => new TopicDecoder().decode(batch, { now, origin: 'core' }), {
    code: 'batch-malformed',
  });
});
