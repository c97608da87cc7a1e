/** Retained messages: walked in steps while they change, bounded, and gone when they expire. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LevelTree } from '../../base/level-tree.ts';
import { topicFilterFault, topicMatches, topicNameFault } from '../../base/topic.ts';
import type { Retained } from '../../broker/routing/retained.ts';
import { openRetained, retainedPublication } from '../support/retained.ts';

const level = fc.constantFrom('', 'a', 'b', 'c', '$x');
const topic = fc
  .array(level, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter((text) => topicNameFault(text) === null);
const filter = fc
  .tuple(
    fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 3 }),
    fc.constantFrom('#', '+', 'a'),
  )
  .map(([levels, last]) => [...levels, last].join('/'))
  .filter((text) => topicFilterFault(text) === null);

async function topicsOf(retained: Retained, text: string): Promise<string[]> {
  const topics: string[] = [];
  for await (const step of retained.walk(text)) topics.push(...step.map((one) => one.topic));
  return topics.toSorted();
}

/** A message expiry of so many seconds, as a property of PUBLISH. */
function expiry(seconds: number): Buffer {
  const bytes = Buffer.from([2, 0, 0, 0, 0]);
  bytes.writeUInt32BE(seconds, 1);
  return bytes;
}

test('a walk finds what stays exactly once, whatever comes and goes between its steps', () => {
  const change = fc.record({ topic, remove: fc.boolean() });
  fc.assert(
    fc.property(
      fc.array(topic, { maxLength: 20 }),
      fc.array(fc.array(change, { maxLength: 5 }), { maxLength: 30 }),
      filter,
      fc.integer({ min: 1, max: 4 }),
      (before, changes, text, nodesMax) => {
        const tree = new LevelTree<string>();
        for (const one of before) tree.set(one, one);
        const changed = new Set(changes.flat().map((one) => one.topic));
        const pending = [...changes];
        const found: string[] = [];
        for (const step of tree.walk(text, nodesMax)) {
          found.push(...step);
          for (const one of pending.shift() ?? []) {
            if (one.remove) tree.delete(one.topic);
            else tree.set(one.topic, one.topic);
          }
        }
        const stayed = new Set(
          before.filter((one) => !changed.has(one) && topicMatches(text, one)),
        );
        const foundStayed = found.filter((one) => !changed.has(one));
        assert.deepEqual(foundStayed.toSorted(), [...stayed].toSorted());
        assert.ok(found.every((one) => topicMatches(text, one)));
      },
    ),
    { numRuns: 500 },
  );
});

test('a walk gives up its turn after a bounded number of nodes, found or not', async () => {
  const { retained } = openRetained();
  for (let i = 0; i < 20_000; i++) retained.set(retainedPublication(`t/${i}/x`, 'x'), 0);
  let turns = 0;
  let isOver = false;
  const count = () => {
    turns++;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  assert.deepEqual(await topicsOf(retained, 't/+/y'), []);
  isOver = true;
  assert.ok(turns >= 30, `${turns} turns`);
});

test('what changes during a walk is found as it is then', async () => {
  const { retained } = openRetained();
  for (let i = 0; i < 2_000; i++) retained.set(retainedPublication(`t/${i}`, 'old'), 0);
  const texts = new Map<string, string>();
  let isFirst = true;
  for await (const step of retained.walk('t/#')) {
    for (const one of step) texts.set(one.topic, String(one.payload));
    if (!isFirst) continue;
    isFirst = false;
    retained.set(retainedPublication('t/1999', 'new'), 0);
    retained.set(retainedPublication('t/1998', ''), 0);
    retained.set(retainedPublication('t/2000', 'late'), 0);
  }
  assert.equal(texts.get('t/1999'), 'new');
  assert.equal(texts.has('t/1998'), false);
  assert.equal(texts.get('t/2000'), 'late');
  assert.equal(texts.size, 2_000);
});

test('a topic beyond the bound is not retained, and one that is there can be replaced', async () => {
  const { retained, stored, metrics } = openRetained({ retained_messages: 2 });
  for (const name of ['a', 'b', 'c']) retained.set(retainedPublication(name, '1'), 0);
  retained.set(retainedPublication('a', '2'), 0);
  assert.deepEqual(await topicsOf(retained, '#'), ['a', 'b']);
  assert.deepEqual([...stored], ['a', 'b']);
  assert.match(metrics.text(), /trunkline_retained_dropped_total\{reason="full"\} 1/);
  retained.set(retainedPublication('b', ''), 0);
  retained.set(retainedPublication('c', '1'), 0);
  assert.deepEqual(await topicsOf(retained, '#'), ['a', 'c']);
});

test('a value that does not fit the bytes leaves none behind that has been replaced', async () => {
  const { retained, stored } = openRetained({ retained_bytes: 1_000 });
  retained.set(retainedPublication('a', 'x'.repeat(400)), 0);
  retained.set(retainedPublication('b', 'x'.repeat(400)), 0);
  retained.set(retainedPublication('a', 'x'.repeat(800)), 0);
  assert.deepEqual(await topicsOf(retained, '#'), ['b']);
  retained.set(retainedPublication('a', 'x'.repeat(500)), 0);
  assert.deepEqual(await topicsOf(retained, '#'), ['a', 'b']);
  assert.deepEqual([...stored].toSorted(), ['a', 'b']);
});

test('a retained message that has expired is neither found nor kept', async () => {
  const { retained, time, stored, metrics } = openRetained();
  retained.set(retainedPublication('short', 'x', { properties: expiry(10) }), 0);
  retained.set(retainedPublication('long', 'x', { properties: expiry(100) }), 0);
  retained.set(retainedPublication('ever', 'x'), 0);
  time.now = 9_999;
  assert.deepEqual(await topicsOf(retained, '#'), ['ever', 'long', 'short']);
  time.now = 10_000;
  assert.deepEqual(await topicsOf(retained, 'short'), []);
  assert.deepEqual([...stored].toSorted(), ['ever', 'long']);
  assert.match(metrics.text(), /trunkline_retained_dropped_total\{reason="expired"\} 1/);
});

test('the sweep finds what expired though nobody asks for it, also below a $ level', () => {
  const { retained, time } = openRetained();
  for (let i = 0; i < 6_000; i++) {
    retained.set(retainedPublication(`t/${i}`, 'x', { properties: expiry(1) }), 0);
  }
  retained.set(retainedPublication('$x/y', 'x', { properties: expiry(1) }), 0);
  retained.set(retainedPublication('ever', 'x'), 0);
  time.now = 1_000;
  for (let i = 0; i < 4; i++) retained.sweep();
  assert.equal(retained.count, 1);
});

test('a replacement without an expiry does not expire with what it replaced', async () => {
  const { retained, time } = openRetained();
  retained.set(retainedPublication('a', '1', { properties: expiry(1) }), 0);
  retained.set(retainedPublication('a', '2'), 0);
  time.now = 5_000;
  for (let i = 0; i < 3; i++) retained.sweep();
  assert.deepEqual(await topicsOf(retained, '#'), ['a']);
});

test('what a snapshot did not name goes, but not what came since or is on its way up', async () => {
  const { retained, isUplinkPending } = openRetained();
  retained.set(retainedPublication('old', 'x', { origin: 'edge-2' }), 0);
  const mark = retained.mark();
  retained.set(retainedPublication('new', 'x', { origin: 'edge-2' }), 0);
  await retained.dropUnconfirmed('#', mark, () => true);
  assert.deepEqual(await topicsOf(retained, '#'), ['new']);
  retained.set(retainedPublication('own', 'x'), 7);
  isUplinkPending.value = true;
  const later = retained.mark();
  isUplinkPending.value = false;
  await retained.dropUnconfirmed('#', later, (topic) => topic === 'own' || topic === 'new');
  assert.deepEqual(await topicsOf(retained, '#'), ['own']);
  retained.settle(later);
  await retained.dropUnconfirmed('#', retained.mark(), () => true);
  assert.deepEqual(await topicsOf(retained, '#'), []);
});

test('an answer of the core does not undo what was published here while it was asked', async () => {
  const { retained, isUplinkPending } = openRetained();
  retained.set(retainedPublication('lamp', 'off'), 7);
  retained.set(retainedPublication('fan', 'on'), 8);
  retained.set(retainedPublication('fan', ''), 9);
  isUplinkPending.value = true;
  const mark = retained.mark();
  // Acknowledged before the answer, which is of a moment before, is here.
  isUplinkPending.value = false;
  retained.confirm(retainedPublication('lamp', 'on', { origin: 'edge-2' }));
  retained.confirm(retainedPublication('fan', 'on', { origin: 'edge-2' }));
  assert.deepEqual(await textsOf(retained), ['lamp off']);
  retained.settle(mark);
  retained.confirm(retainedPublication('lamp', 'on', { origin: 'edge-2' }));
  retained.confirm(retainedPublication('fan', 'on', { origin: 'edge-2' }));
  assert.deepEqual(await textsOf(retained), ['lamp on', 'fan on']);
});

test('what is held for a new core outlives its answers, until there is something newer', async () => {
  const { retained } = openRetained();
  retained.set(retainedPublication('a', '1'), 7);
  retained.set(retainedPublication('b', '1', { origin: 'edge-2' }), 0);
  await retained.hold();
  await retained.dropUnconfirmed('#', retained.mark(), () => true);
  assert.deepEqual(await textsOf(retained), ['a 1', 'b 1']);
  retained.confirm(retainedPublication('a', '2', { origin: 'edge-2' }));
  retained.set(retainedPublication('b', '2'), 3);
  await retained.dropUnconfirmed('#', retained.mark(), () => true);
  assert.deepEqual(await textsOf(retained), []);
});

async function textsOf(retained: Retained): Promise<string[]> {
  const texts: string[] = [];
  for await (const step of retained.walk('#')) {
    texts.push(...step.map(({ topic, payload }) => `${topic} ${payload}`));
  }
  return texts;
}
