/**
 * What stays in the spool after the core has acknowledged it: for how long, how much of it, and that
 * it goes up again when the core has lost it.
 */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { laneOf } from '../../base/topic.ts';
import { createLaneMap } from '../../bridge/lane-map.ts';
import { SpoolWorld, upwards } from '../support/spool-world.ts';

const world = new SpoolWorld();

afterEach(() => world.close());

const topic = 'kept/x';
const lane = laneOf(topic);
const minutes = { seconds: 600, bytes: 1 << 28 };
const texts = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => String(from + i));

test('what was acknowledged stays for its time, and no longer', async () => {
  const spool = await world.open({ retain: minutes });
  await world.accept(spool, topic, texts(1, 10));
  spool.uplink.acknowledge(lane, 10);
  await world.pass(spool, 10);
  await world.accept(spool, topic, texts(11, 5));
  spool.uplink.acknowledge(lane, 15);
  await world.pass(spool, 590);
  assert.equal(spool.uplink.oldestOf(lane), 1);
  await world.pass(spool, 11);
  assert.equal(spool.uplink.oldestOf(lane), 11);
  await world.pass(spool, 600);
  assert.equal(spool.uplink.oldestOf(lane), 16);
});

test('without retention nothing that was acknowledged is offered again', async () => {
  const spool = await world.open();
  await world.accept(spool, topic, texts(1, 10));
  spool.uplink.acknowledge(lane, 7);
  await world.pass(spool, 1);
  assert.equal(spool.uplink.oldestOf(lane), 8);
});

test('a core that lost it all is sent again what is retained, also out of segments of before', async () => {
  // Segments of 16 KiB.
  const options = { bytesMax: 128 * 1024, retain: minutes };
  const first = await world.open(options);
  const all = texts(1, 60);
  for (const text of all) await world.accept(first, topic, [text.padEnd(1_000)]);
  first.uplink.acknowledge(lane, 60);
  await world.pass(first, 11);
  await first.close();
  const spool = await world.open(options);
  await world.accept(spool, topic, ['61']);
  spool.uplink.acknowledge(lane, 60);
  assert.equal(spool.uplink.backlog, 1);
  assert.equal(spool.uplink.oldestOf(lane), 1);
  spool.uplink.resume(new Array(6).fill(0));
  assert.equal(spool.uplink.backlog, 61);
  const found = (await upwards(spool, lane)).map((text) => text.trim());
  assert.deepEqual(found, [...all, '61']);
  assert.match(world.parts.metrics.text(), /trunkline_replayed_total 60/);
  // What goes up again is needed until it is acknowledged.
  await world.pass(spool, 1_200);
  assert.equal((await upwards(spool, lane)).length, 61);
});

test('a core that was put back is sent what it lacks', async () => {
  const spool = await world.open({ retain: minutes });
  await world.accept(spool, topic, texts(1, 10));
  spool.uplink.acknowledge(lane, 10);
  const through = new Array<number>(6).fill(0);
  through[lane] = 6;
  spool.uplink.resume(through);
  assert.equal(spool.uplink.acknowledgedOf(lane), 6);
  assert.deepEqual(await upwards(spool, lane, 7), ['7', '8', '9', '10']);
});

test('what is retained gives way to its own bound on bytes', async () => {
  // Segments of 32 KiB.
  const options = { bytesMax: 256 * 1024, retain: { seconds: 600, bytes: 64 * 1024 } };
  const spool = await world.open(options);
  for (const text of texts(1, 150)) await world.accept(spool, topic, [text.padEnd(1_000)]);
  assert.ok(spool.uplink.bytes > 150_000);
  spool.uplink.acknowledge(lane, 150);
  // The state of the lanes is written down first, behind what is freed then.
  await world.pass(spool, 1);
  await world.pass(spool, 1);
  assert.ok(spool.uplink.bytes < 64 * 1024 + 2 * 40_000, `${spool.uplink.bytes} bytes`);
  const oldest = spool.uplink.oldestOf(lane);
  assert.ok(oldest > 1 && oldest < 110, `from ${oldest} on`);
  assert.equal((await upwards(spool, lane, oldest))[0]?.trim(), String(oldest));
});

test('what is retained never makes the spool full', async () => {
  const options = { bytesMax: 256 * 1024, retain: { seconds: 600, bytes: 1 << 30 } };
  const spool = await world.open(options);
  for (const text of texts(1, 1_000)) {
    await world.accept(spool, topic, [text.padEnd(1_000)]);
    spool.uplink.acknowledge(lane, Number(text));
    if (Number(text) % 50 === 0) await world.pass(spool, 1);
    assert.equal(spool.isSaturated, false);
    assert.ok(spool.uplink.bytes <= 330_000, `${spool.uplink.bytes} bytes`);
  }
  assert.ok(spool.uplink.bytes > 128 * 1024);
});

test('what another life of the spool sent up is not sent up again by this one', async () => {
  const spool = await world.open({ retain: minutes });
  await world.accept(spool, topic, texts(1, 10));
  spool.uplink.noteSent(lane, 6);
  const through = new Array<number>(6).fill(0);
  through[lane] = 50;
  await spool.uplink.renewEpoch(through);
  assert.equal(spool.uplink.oldestOf(lane), 7);
});

test('order holds when what is sent again was accepted under two lane maps', async () => {
  const [four, one] = [createLaneMap(4), createLaneMap(1)];
  const spool = await world.open({ laneMap: four, retain: minutes });
  await world.accept(spool, topic, ['old']);
  spool.applyLaneMap(one);
  await world.accept(spool, topic, ['new']);
  for (const at of [four.laneFor(topic), 0, 0]) {
    spool.uplink.acknowledge(at, spool.uplink.newestOf(at));
  }
  assert.equal(spool.uplink.backlog, 0);
  spool.uplink.resume(new Array(6).fill(0));
  assert.equal(spool.uplink.backlog, 2);
  const lanes = await Promise.all([0, 1, 2, 3].map((at) => upwards(spool, at)));
  assert.deepEqual(lanes.flat(), ['old']);
});
