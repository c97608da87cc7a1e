/** The rate of a fleet comes from the elapsed time, whatever the timer does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pacer } from '../../devices/pacer.ts';

test('many small ticks and few large ones send the same', () => {
  const small = new Pacer({ perSecond: 333, startedAt: 0 });
  let taken = 0;
  for (let ms = 7; ms <= 7_000; ms += 7) taken += small.take(ms);
  const large = new Pacer({ perSecond: 333, startedAt: 0 });
  let takenLarge = 0;
  for (let ms = 700; ms <= 7_000; ms += 700) takenLarge += large.take(ms);
  assert.equal(taken, 2_331);
  assert.equal(takenLarge, 2_331);
});

test('a rate below one a second waits for its moment', () => {
  const pacer = new Pacer({ perSecond: 0.5, startedAt: 100 });
  assert.equal(pacer.take(2_099), 0);
  assert.equal(pacer.take(2_100), 1);
  assert.equal(pacer.take(2_101), 0);
});

test('after a standstill one second is made up and the rest forgone', () => {
  const pacer = new Pacer({ perSecond: 100, startedAt: 0 });
  assert.equal(pacer.take(60_000), 100);
  assert.equal(pacer.take(60_010), 1);
});

test('no more than the total is ever due', () => {
  const pacer = new Pacer({ perSecond: 100, startedAt: 0, totalMax: 25 });
  assert.equal(pacer.take(200), 20);
  assert.equal(pacer.take(400), 5);
  assert.equal(pacer.take(600), 0);
});
