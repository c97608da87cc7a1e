/**
 * Changes of the lane map: what is accepted after one stays back until the core has all that was
 * accepted before, in whatever order the lanes are acknowledged, and whenever the process dies.
 */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { createLaneMap } from '../../bridge/lane-map.ts';
import type { Spool } from '../../bridge/spool.ts';
import { SpoolWorld, upwards } from '../support/spool-world.ts';

const world = new SpoolWorld();

afterEach(() => world.close());

const four = createLaneMap(4);
const two = createLaneMap(2);
const one = createLaneMap(1);

/** Two topics that ride lanes of their own, of four as of two. */
const [a, b] = ['x/0', 'x/1', 'x/2', 'x/3', 'x/4', 'x/5', 'x/6', 'x/7'].reduce<string[]>(
  (found, topic) => {
    if (!found.some((other) => two.laneFor(other) === two.laneFor(topic))) found.push(topic);
    return found;
  },
  [],
) as [string, string];

const all = (spool: Spool) =>
  Promise.all(Array.from({ length: 18 }, (_, lane) => upwards(spool, lane))).then((lanes) =>
    lanes.flat().sort(),
  );

test('a topic rides the lane of its priority, behind the plain ones', () => {
  const of = (topic: string) => (topic === a ? 'high' : topic === b ? 'bulk' : 'normal');
  const map = createLaneMap(2, { id: 'p', of });
  assert.deepEqual([map.laneFor(a), map.laneFor(b), map.laneCount], [2, 3, 4]);
  assert.equal(map.laneFor('x/y'), two.laneFor('x/y'));
  assert.notEqual(map.id, two.id);
});

test('with another count of lanes, nothing new goes up before all of the old is acknowledged', async () => {
  const first = await world.open({ laneMap: four });
  await world.accept(first, a, ['a1', 'a2']);
  await world.accept(first, b, ['b1']);
  await first.close();
  const spool = await world.open({ laneMap: one });
  await world.accept(spool, a, ['a3']);
  await world.accept(spool, b, ['b2']);
  assert.deepEqual(await all(spool), ['a1', 'a2', 'b1']);
  assert.equal(spool.uplink.backlog, 5);
  let released = 0;
  spool.uplink.onReleased(() => released++);
  spool.uplink.acknowledge(four.laneFor(a), 2);
  assert.equal(released, 0);
  assert.equal((await all(spool)).includes('a3'), false);
  spool.uplink.acknowledge(four.laneFor(b), 1);
  assert.equal(released, 1);
  const last = spool.uplink.newestOf(0);
  assert.deepEqual(await upwards(spool, 0, last - 1), ['a3', 'b2']);
});

test('a change of lanes outlives a crash in the middle of it', async () => {
  const first = await world.open({ laneMap: four });
  await world.accept(first, a, ['a1']);
  await world.accept(first, b, ['b1']);
  first.applyLaneMap(one);
  await world.accept(first, a, ['a2']);
  first.uplink.acknowledge(four.laneFor(a), 1);
  await world.crash();
  const again = await world.open({ laneMap: one });
  again.uplink.acknowledge(four.laneFor(a), 1);
  assert.equal((await all(again)).includes('a2'), false);
  again.uplink.acknowledge(four.laneFor(b), 1);
  assert.equal((await all(again)).includes('a2'), true);
});

test('changes that follow each other wait for each other', async () => {
  const spool = await world.open({ laneMap: four });
  const steps = [four, two, one, two];
  for (const [step, map] of steps.entries()) {
    spool.applyLaneMap(map);
    await world.accept(spool, a, [`${step}`]);
  }
  const gone: string[] = [];
  const through = new Array<number>(18).fill(0);
  for (const map of steps) {
    const lane = map.laneFor(a);
    const now = await upwards(spool, lane, (through[lane] ?? 0) + 1);
    gone.push(...now);
    through[lane] = (through[lane] ?? 0) + now.length;
    spool.uplink.acknowledge(lane, through[lane] ?? 0);
  }
  assert.deepEqual(gone, ['0', '1', '2', '3']);
});

test('what a change holds back is not announced as it becomes durable', async () => {
  const spool = await world.open({ laneMap: four });
  const heard: string[] = [];
  spool.uplink.onUplink((records) => {
    for (const { publication } of records()) heard.push(publication.payload.toString());
  });
  await world.accept(spool, a, ['old']);
  spool.applyLaneMap(one);
  await world.accept(spool, a, ['new']);
  spool.uplink.acknowledge(four.laneFor(a), 1);
  await world.accept(spool, a, ['newer']);
  assert.deepEqual(heard, ['old', 'newer']);
});

test('lanes that are no more are kept until they are empty', async () => {
  const first = await world.open({ laneMap: createLaneMap(16) });
  for (let i = 0; i < 64; i++) await world.accept(first, `t/${i}`, ['x']);
  await first.close();
  const spool = await world.open({ laneMap: one });
  assert.equal(spool.uplink.laneCount, 16);
  for (let lane = 0; lane < 18; lane++) {
    spool.uplink.acknowledge(lane, spool.uplink.newestOf(lane));
  }
  await world.pass(spool, 1);
  assert.equal(spool.uplink.laneCount, 3);
});

test('what is on its way up is known by its topic, whichever map it went by', async () => {
  const spool = await world.open({ laneMap: four });
  await world.accept(spool, a, ['old']);
  const old = spool.durableThrough;
  spool.applyLaneMap(one);
  await world.accept(spool, a, ['new']);
  assert.equal(spool.isUplinkPending(a, old), true);
  spool.uplink.acknowledge(four.laneFor(a), 1);
  assert.equal(spool.isUplinkPending(a, old), false);
  assert.equal(spool.isUplinkPending(a, spool.durableThrough), true);
  spool.uplink.acknowledge(0, spool.uplink.newestOf(0));
  assert.equal(spool.isUplinkPending(a, spool.durableThrough), false);
});

test('more changes than can wait are refused', async () => {
  const spool = await world.open({ laneMap: four });
  await assert.rejects(async () => {
    for (let change = 0; change < 100; change++) {
      await world.accept(spool, a, ['x']);
      spool.applyLaneMap(change % 2 === 0 ? one : four);
    }
  }, /let the spool drain/);
});
