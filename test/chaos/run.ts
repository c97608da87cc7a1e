/**
 * `npm run chaos`: as many faults as asked for, told as they strike, and the books at the end; then a
 * link that is cut at any byte, as often as asked for.
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArgs } from 'node:util';
import { runByteCuts } from '../support/byte-cuts.ts';
import { Random } from '../support/random.ts';
import { withFolder } from '../support/trunk-world.ts';
import { runChaos } from './chaos.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    faults: { type: 'string', default: '100' },
    only: { type: 'string', default: '' },
    cuts: { type: 'string', default: '1000' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) {
  process.stdout.write(
    [
      'Usage: npm run chaos -- [--seed N] [--faults N] [--only TEXT] [--cuts N]',
      '',
      '  --seed N     repeats a run: the same faults in the same order',
      '  --faults N   how many strike [100]',
      '  --only TEXT  only faults whose name contains it',
      '  --cuts N     how often the link is cut at any byte, after the faults; 0 for not [1000]',
      '',
    ].join('\n'),
  );
} else {
  const random =
    values.seed === undefined ? Random.fromEnvironment() : new Random(Number(values.seed));
  process.stdout.write(`chaos: seed ${random.seed}\n`);
  test('nothing acknowledged is lost, nothing of QoS 2 doubled, nothing reordered', async () => {
    const tell = (line: string) => void process.stdout.write(`${line}\n`);
    const result = await runChaos({
      random,
      faults: Number(values.faults),
      only: values.only,
      tell,
    });
    const { acked, lost, doubled, reordered, repeated, slowestMs } = result;
    tell(
      `acked ${acked}, lost ${lost.length}, doubled ${doubled.length}, reordered ${reordered.length}, repeated at QoS 1 ${repeated}, slowest recovery ${Math.round(slowestMs)} ms`,
    );
    // The first of each tell enough.
    for (const list of [lost, doubled, reordered]) assert.deepEqual(list.slice(0, 20), []);
  });
  const cuts = Number(values.cuts);
  test('a link cut at any byte loses, doubles and reorders nothing', {
    skip: cuts === 0,
  }, async () => {
    await withFolder(async (folder) => {
      const books = await runByteCuts({ folder, cuts, random, withinMs: 30_000 + cuts * 500 });
      const count = `${books.cuts} cuts, ${books.accepted} publications`;
      process.stdout.write(`${count}\n`);
      for (const [topic, texts] of books.expected) {
        assert.deepEqual(books.logged.get(topic), texts, `the log of ${topic}`);
        assert.deepEqual(books.delivered.get(topic), texts, `what came of ${topic}`);
      }
    });
  });
}
