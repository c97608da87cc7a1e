/** What an edge remembers of what others published: how far, how many, and across a crash. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { SeenSources } from '../../bridge/seen-sources.ts';
import { durable, SpoolWorld } from '../support/spool-world.ts';
import { publication } from '../support/trunk-world.ts';

const world = new SpoolWorld();

afterEach(() => world.close());

const source = (lane: number, epoch = 'e') => ({ origin: 'edge-a', epoch, lane });

function handed(seen: SeenSources, lane: number, sequence: number): void {
  const mark = seen.markOf(source(lane), 1);
  mark.handed = sequence;
  seen.note(mark);
}

test('marks are one for each lane of each spool, on each lane of the log', () => {
  const seen = new SeenSources();
  handed(seen, 0, 5);
  handed(seen, 2, 7);
  assert.equal(seen.markOf(source(0), 1).handed, 5);
  assert.equal(seen.markOf(source(2), 1).handed, 7);
  assert.equal(seen.markOf(source(0), 3).handed, 0);
  assert.equal(seen.markOf(source(0, 'other'), 1).handed, 0);
});

test('the marks that were used longest ago give way', () => {
  const seen = new SeenSources(3);
  for (const lane of [0, 1, 2]) handed(seen, lane, 9);
  seen.markOf(source(0), 1);
  handed(seen, 3, 9);
  assert.equal(seen.size, 3);
  assert.equal(seen.markOf(source(0), 1).handed, 9);
  assert.equal(seen.markOf(source(1), 1).handed, 0);
});

test('only what changed is written down, and all of it when asked', () => {
  const seen = new SeenSources();
  for (const lane of [0, 1]) handed(seen, lane, 9);
  assert.deepEqual(seen.take(false), [['edge-a', 'e', 0, 1, 9, 1, 1, 9]]);
  assert.deepEqual(seen.take(false), []);
  handed(seen, 1, 10);
  assert.deepEqual(seen.take(false), [['edge-a', 'e', 1, 1, 10]]);
  const again = new SeenSources();
  again.restoreAll(seen.take(true));
  assert.equal(again.markOf(source(0), 1).noted, 9);
  assert.equal(again.markOf(source(1), 1).noted, 10);
});

test('what was handed over and not dealt with is not written down', () => {
  const seen = new SeenSources();
  seen.markOf(source(0), 1).handed = 5;
  assert.deepEqual(seen.take(true), []);
});

test('marks outlive a crash, by the state of the spool and by what was spooled', async () => {
  const spool = await world.open();
  handed(spool.uplink.seen, 4, 70);
  spool.uplink.startAt({ logEpoch: 'log', lanes: [] });
  const from = { source: source(5), sequence: 8 };
  const sequence = spool.append({
    kind: 'publication',
    publication: publication('t', 'x', { origin: 'edge-a' }),
    source: { kind: 'trunk', logEpoch: 'log', lane: 1, position: 3, from },
    clientId: '',
    packetId: 0,
  });
  await durable(spool, sequence);
  await world.crash();
  const { seen } = (await world.open()).uplink;
  assert.equal(seen.markOf(source(4), 1).handed, 70);
  assert.equal(seen.markOf(source(5), 1).handed, 8);
});
