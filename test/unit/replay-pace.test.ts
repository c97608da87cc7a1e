/** The pace of a replay, how much is put under way, what is stuck, and the estimate, by a hand clock. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DrainWatch } from '../../base/drain-watch.ts';
import { laneCreditBytes, underwayBytesFirst, underwayBytesMin } from '../../base/limits.ts';
import { SendWindow } from '../../base/send-window.ts';
import type { Priority } from '../../bridge/lane-map.ts';
import { ReplayMeter } from '../../bridge/replay-meter.ts';
import { ReplayPace } from '../../bridge/replay-pace.ts';
import { FakeSpool } from '../support/fake-spool.ts';
import { HandClock } from '../support/front.ts';
import { publication } from '../support/trunk-world.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('so many a second are let through, whoever asks', async () => {
  const clock = new HandClock();
  const pace = new ReplayPace(clock, 1_000);
  let admitted = 0;
  const ask = async () => {
    for (;;) {
      await pace.admit('normal', 10);
      admitted += 10;
      if (admitted >= 100_000) return;
    }
  };
  const asking = [ask(), ask()];
  for (let ms = 0; ms < 3_000; ms += 5) {
    clock.pass(5);
    await turn();
  }
  assert.ok(admitted > 2_700 && admitted < 3_200, `${admitted} in three seconds`);
  pace.close();
  admitted = 100_000;
  await Promise.all(asking);
});

test('no pace holds nobody', async () => {
  const pace = new ReplayPace(new HandClock(), 0);
  for (let i = 0; i < 1_000; i++) await pace.admit('normal', 1_000);
  pace.close();
});

test('high goes first, bulk last, and bulk gets its share', async () => {
  const clock = new HandClock();
  const pace = new ReplayPace(clock, 100);
  await pace.admit('normal', 1_000);
  const order: Priority[] = [];
  const ask = (priority: Priority) => pace.admit(priority, 10).then(() => order.push(priority));
  const asked = [
    ...Array.from({ length: 40 }, () => ask('normal')),
    ...Array.from({ length: 3 }, () => ask('bulk')),
    ask('high'),
  ];
  for (let i = 0; i < 400; i++) {
    clock.pass(100);
    await turn();
  }
  await Promise.all(asked);
  assert.equal(order[0], 'high');
  assert.ok(order.indexOf('bulk') > 10);
  assert.ok(order.indexOf('bulk') < order.lastIndexOf('normal'));
  pace.close();
});

test('less is put under way where answers are late, and more where they come soon', () => {
  const clock = new HandClock();
  const window = new SendWindow(clock);
  let sequence = 0;
  const round = (answerMs: number) => {
    while (!window.isFull) window.sent(++sequence, 64 * 1024);
    clock.pass(answerMs);
    window.acknowledged(sequence);
  };
  assert.equal(window.bytesMax, underwayBytesFirst);
  for (let i = 0; i < 10; i++) round(20);
  assert.equal(window.bytesMax, laneCreditBytes);
  for (let i = 0; i < 40; i++) round(2_000);
  assert.equal(window.bytesMax, underwayBytesMin);
  for (let i = 0; i < 10; i++) round(60);
  assert.ok(window.bytesMax > underwayBytesFirst);
});

test('what was sent before the window became smaller does not make it smaller again', () => {
  const clock = new HandClock();
  const window = new SendWindow(clock);
  window.sent(1, 1_000);
  clock.pass(10);
  window.acknowledged(1);
  for (let i = 2; i <= 11; i++) window.sent(i, 100_000);
  clock.pass(1_000);
  for (let i = 2; i <= 11; i++) window.acknowledged(i);
  assert.equal(window.bytesMax, underwayBytesFirst * 0.75);
});

test('a stream is stuck when nothing at all goes out of it, not when little does', () => {
  const clock = new HandClock();
  const watch = new DrainWatch(clock, 100);
  watch.wrote(true);
  clock.pass(1_000);
  assert.equal(watch.isOverdue, false);
  watch.wrote(false);
  for (let i = 0; i < 10; i++) {
    clock.pass(90);
    watch.moved();
    watch.wrote(false);
    assert.equal(watch.isOverdue, false);
  }
  clock.pass(101);
  assert.equal(watch.isOverdue, true);
  watch.drained();
  assert.equal(watch.isOverdue, false);
});

test('the time to empty follows how fast the backlog shrinks, and is 0 when it does not', () => {
  const clock = new HandClock();
  const spool = new FakeSpool('e');
  spool.append(Array.from({ length: 10_000 }, () => publication('t', 'x')));
  const lane = spool.laneFor('t');
  const meter = new ReplayMeter(clock, spool);
  assert.deepEqual(meter.replay, { backlog: 10_000, ratePerSecond: 0, emptyInSeconds: 0 });
  for (let second = 1; second <= 5; second++) {
    clock.pass(1_000);
    spool.acknowledge(lane, second * 1_000);
    spool.append(Array.from({ length: 500 }, () => publication('t', 'y')));
    meter.look();
  }
  assert.deepEqual(meter.replay, { backlog: 7_500, ratePerSecond: 1_000, emptyInSeconds: 15 });
  for (let second = 0; second < 20; second++) {
    clock.pass(1_000);
    spool.append(Array.from({ length: 500 }, () => publication('t', 'y')));
    meter.look();
  }
  assert.equal(meter.replay.emptyInSeconds, 0);
});
