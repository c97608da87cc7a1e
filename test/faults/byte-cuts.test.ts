/**
 * Links cut at any byte, some times of the thousand of `npm run chaos`: nothing is lost, doubled or
 * reordered, neither in the core's log nor at an edge beyond it. TRUNKLINE_SEED asks for another run.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runByteCuts } from '../support/byte-cuts.ts';
import { Random } from '../support/random.ts';
import { withFolder } from '../support/trunk-world.ts';

const cuts = 60;
const random = Random.fromEnvironment();

test('links cut at random bytes lose, double and reorder nothing', {
  timeout: 60_000 + cuts * 1_000,
}, async (t) => {
  await withFolder(async (folder) => {
    const withinMs = 30_000 + cuts * 500;
    const books = await runByteCuts({ folder, cuts, random, withinMs });
    t.diagnostic(`seed ${random.seed}: ${books.cuts} cuts, ${books.accepted} publications`);
    assert.ok(books.cuts >= cuts);
    for (const [topic, texts] of books.expected) {
      assert.deepEqual(books.logged.get(topic), texts, `the log of ${topic}`);
      assert.deepEqual(books.delivered.get(topic), texts, `what came of ${topic}`);
    }
  });
});
