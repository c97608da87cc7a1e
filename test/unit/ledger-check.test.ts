/** The checker must notice each way in which a broker can break its word. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LedgerCheck } from '../../devices/ledger-check.ts';

const topic = 'fleet/meter/a/consumption';

function openCheck(acknowledged = true) {
  const time = { now: 0 };
  const check = new LedgerCheck({ elapsed: () => time.now, acknowledged });
  const receive = (counter: number, more: { deviceId?: string; topic?: string } = {}) =>
    check.received({ deviceId: 'a', topic, counter, ...more });
  return { check, time, receive };
}

function sendAndAck(check: LedgerCheck, count: number): void {
  for (let counter = 1; counter <= count; counter++) {
    check.sent('a', counter);
    check.acked('a', counter);
  }
}

test('a run in which everything arrives once and in order has nothing to report', () => {
  const { check, receive } = openCheck();
  sendAndAck(check, 3);
  for (const counter of [1, 2, 3]) receive(counter);
  assert.equal(check.isSettled, true);
  const { latencyMs, ...counts } = check.summary();
  assert.deepEqual(counts, {
    sent: 3,
    acked: 3,
    received: 3,
    lost: 0,
    missing: 0,
    duplicates: 0,
    reordered: 0,
    foreign: 0,
  });
  assert.ok(latencyMs.max < 1);
});

test('a message acknowledged and never received is lost', () => {
  const { check, receive } = openCheck();
  sendAndAck(check, 3);
  receive(1);
  receive(3);
  assert.equal(check.isSettled, false);
  assert.equal(check.summary().lost, 1);
  assert.equal(check.summary().missing, 1);
});

test('a message that was never acknowledged is missing, but not lost', () => {
  const { check } = openCheck();
  check.sent('a', 1);
  assert.equal(check.isSettled, false);
  assert.equal(check.summary().lost, 0);
  assert.equal(check.summary().missing, 1);
});

test('a copy is a duplicate, whether it comes before or after the acknowledgement', () => {
  const { check, receive } = openCheck();
  check.sent('a', 1);
  receive(1);
  receive(1);
  check.acked('a', 1);
  receive(1);
  const { received, duplicates, lost, acked } = check.summary();
  assert.deepEqual(
    { received, duplicates, lost, acked },
    {
      received: 1,
      duplicates: 2,
      lost: 0,
      acked: 1,
    },
  );
});

test('a message that comes after a later one of its topic is reordered', () => {
  const { check, receive } = openCheck();
  sendAndAck(check, 4);
  for (const counter of [1, 3, 2, 4]) receive(counter);
  assert.equal(check.summary().reordered, 1);
  assert.equal(check.summary().lost, 0);
  assert.equal(check.isSettled, true);
});

test('order is a promise per topic, not across topics', () => {
  const { check, receive } = openCheck();
  sendAndAck(check, 2);
  receive(2, { topic: 'fleet/meter/a/quality' });
  receive(1);
  assert.equal(check.summary().reordered, 0);
});

test('a late copy of an old message is a duplicate and not a reordering', () => {
  const { check, receive } = openCheck();
  sendAndAck(check, 2);
  for (const counter of [1, 2, 1]) receive(counter);
  assert.equal(check.summary().duplicates, 1);
  assert.equal(check.summary().reordered, 0);
});

test('what this fleet never sent is foreign and counts as nothing else', () => {
  const { check, receive } = openCheck();
  sendAndAck(check, 1);
  receive(1);
  receive(2);
  receive(1, { deviceId: 'somebody-else' });
  const { foreign, received, duplicates } = check.summary();
  assert.deepEqual({ foreign, received, duplicates }, { foreign: 2, received: 1, duplicates: 0 });
});

test('a second acknowledgement of one message counts once', () => {
  const { check, receive } = openCheck();
  check.sent('a', 1);
  check.acked('a', 1);
  check.acked('a', 1);
  receive(1);
  check.acked('a', 1);
  assert.equal(check.summary().acked, 1);
  assert.equal(check.isSettled, true);
});

test('without acknowledgements nothing is lost, and what did not come is missing', () => {
  const { check, receive } = openCheck(false);
  check.sent('a', 1);
  check.sent('a', 2);
  receive(1);
  assert.equal(check.isSettled, false);
  assert.equal(check.summary().lost, 0);
  assert.equal(check.summary().missing, 1);
  receive(2);
  assert.equal(check.isSettled, true);
  receive(2);
  assert.equal(check.summary().duplicates, 1);
});

test('latency runs from sending to the first receipt', () => {
  const { check, time, receive } = openCheck();
  sendAndAck(check, 2);
  time.now = 10;
  receive(1);
  time.now = 40;
  receive(2);
  receive(2);
  const { p50, max } = check.summary().latencyMs;
  assert.ok(Math.abs(p50 - 10) < 0.1, `${p50}`);
  assert.ok(Math.abs(max - 40) < 0.1, `${max}`);
});
