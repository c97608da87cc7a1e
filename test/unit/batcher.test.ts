/** Cutting batches by count and bytes, in order, and refusing when full. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  batchBytesTarget,
  batchMessagesMax,
  grownBatchBytesTarget,
  grownBatchMessagesMax,
} from '../../base/limits.ts';
import { Batcher, grownBatch } from '../../bridge/batcher.ts';
import { publication } from '../support/trunk-world.ts';

const wide = { countMax: 10_000, bytesMax: 100_000_000 };

function item(sequence: number, bytes = 1) {
  return { sequence, publication: publication('a', 'x'.repeat(bytes)) };
}

test('a batch closes at the count, and the rest follows in order', () => {
  const batcher = new Batcher(wide);
  for (let i = 1; i <= batchMessagesMax + 7; i++) assert.ok(batcher.offer(item(i)));
  const first = batcher.take();
  const second = batcher.take();
  assert.equal(first.length, batchMessagesMax);
  assert.deepEqual(
    [...first, ...second].map(({ sequence }) => sequence),
    Array.from({ length: batchMessagesMax + 7 }, (_, i) => i + 1),
  );
  assert.deepEqual(batcher.take(), []);
});

test('a batch closes at the bytes, which its last publication may overstep', () => {
  const batcher = new Batcher(wide);
  for (let i = 1; i <= 4; i++) batcher.offer(item(i, batchBytesTarget / 2));
  assert.deepEqual(
    batcher.take().map(({ sequence }) => sequence),
    [1, 2],
  );
  batcher.clear();
  batcher.offer(item(9, batchBytesTarget * 10));
  assert.equal(batcher.take().length, 1);
});

test('a full batcher refuses until something was taken, and takes any one item when empty', () => {
  const batcher = new Batcher({ countMax: 2, bytesMax: 100 });
  assert.ok(batcher.offer(item(1, 5_000)));
  assert.equal(batcher.offer(item(2)), false);
  assert.equal(batcher.isHalfEmpty, false);
  batcher.take();
  assert.equal(batcher.isHalfEmpty, true);
  assert.ok(batcher.offer(item(2)));
});

test('a batch grows to its larger bounds when more than a plain one waits', () => {
  const batcher = new Batcher(wide);
  for (let i = 1; i <= batchMessagesMax; i++) batcher.offer(item(i));
  assert.equal(batcher.isBacklogged, false);
  for (let i = 1; i <= 10_000 - batchMessagesMax; i++) batcher.offer(item(batchMessagesMax + i));
  assert.equal(batcher.isBacklogged, true);
  assert.equal(batcher.take(grownBatch).length, grownBatchMessagesMax);
  batcher.clear();
  for (let i = 1; i <= 100; i++) batcher.offer(item(i, 10_000));
  assert.equal(batcher.isBacklogged, true);
  assert.equal(batcher.take(grownBatch).length, Math.ceil(grownBatchBytesTarget / 10_017));
});
