/** Whose turn it is: high first, plain lanes in turn, bulk last but not never. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bulkTurns } from '../../base/limits.ts';
import { LaneTurns } from '../../bridge/lane-turns.ts';

/** Lanes with so many batches each; answers the order in which they went. */
async function orderOf(
  lanes: readonly { name: string; priority: 'high' | 'normal' | 'bulk'; batches: number }[],
): Promise<string[]> {
  const turns = new LaneTurns();
  const order: string[] = [];
  for (const { name, priority, batches } of lanes) {
    let left = batches;
    const send = () => {
      if (left === 0) return 0;
      left--;
      order.push(name);
      return 1;
    };
    turns.add({ send, rest: () => {} }, priority);
  }
  turns.wake();
  const total = lanes.reduce((sum, { batches }) => sum + batches, 0);
  while (order.length < total) await new Promise((resolve) => setImmediate(resolve));
  turns.close();
  return order;
}

test('the high lane goes first in every round, and plain lanes one batch each', async () => {
  const order = await orderOf([
    { name: 'a', priority: 'normal', batches: 20 },
    { name: 'b', priority: 'normal', batches: 20 },
    { name: 'high', priority: 'high', batches: 10 },
  ]);
  for (let round = 0; round < 10; round++) {
    assert.equal(order[round * 3], 'high');
    assert.deepEqual(order.slice(round * 3 + 1, round * 3 + 3).sort(), ['a', 'b']);
  }
});

test('bulk has what others leave, and its least share when they leave nothing', async () => {
  const order = await orderOf([
    { name: 'bulk', priority: 'bulk', batches: 10 },
    { name: 'plain', priority: 'normal', batches: bulkTurns * 4 },
  ]);
  const firstBulk = order.indexOf('bulk');
  assert.ok(firstBulk >= bulkTurns - 1, `bulk came at place ${firstBulk}`);
  const beside = order.slice(0, order.lastIndexOf('plain')).filter((name) => name === 'bulk');
  assert.ok(beside.length >= 3 && beside.length <= 4, `${beside.length} of bulk went beside`);
  assert.equal(order.at(-1), 'bulk');
});

test('a turn ends so that others have theirs, and goes on in the next', async () => {
  const turns = new LaneTurns();
  let sent = 0;
  let rests = 0;
  const send = () => {
    if (sent === 1_000) return 0;
    sent++;
    return 1;
  };
  turns.add({ send, rest: () => rests++ }, 'normal');
  turns.wake();
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(sent > 0 && sent < 100, `${sent} batches in one turn`);
  while (sent < 1_000) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(rests >= 10);
  turns.close();
});

test('nothing is sent after the end', async () => {
  const turns = new LaneTurns();
  let sent = 0;
  turns.add({ send: () => sent++, rest: () => {} }, 'normal');
  turns.wake();
  turns.close();
  turns.wake();
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(sent, 0);
});
