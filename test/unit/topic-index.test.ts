/** The index against the slow and obvious matcher, on generated filters and topics. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import {
  laneOf,
  parseShare,
  topicFilterFault,
  topicMatches,
  topicNameFault,
} from '../../base/topic.ts';
import { TopicIndex } from '../../base/topic-index.ts';

const name = fc.constantFrom('', 'a', 'b', 'ab', '$SYS', 'ä');
const topic = fc.array(name, { minLength: 1, maxLength: 5 }).map((levels) => levels.join('/'));
const filter = fc
  .tuple(
    fc.array(fc.oneof(name, fc.constant('+')), { maxLength: 4 }),
    fc.constantFrom('', '#', '+', 'a'),
  )
  .map(([levels, last]) => [...levels, last].join('/'))
  .filter((text) => topicFilterFault(text) === null);

/** Bytes that are in use after a collection, so that garbage of other tests does not count. */
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const liveHeap = (): number => {
  collect();
  return process.memoryUsage().heapUsed;
};

test('the index finds what the obvious matcher finds, through additions and removals', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ filter, value: fc.nat(4), remove: fc.boolean() }), { maxLength: 40 }),
      fc.array(
        topic.filter((text) => topicNameFault(text) === null),
        { minLength: 1, maxLength: 10 },
      ),
      (steps, topics) => {
        const index = new TopicIndex<number, string>();
        const held = new Map<string, { filter: string; value: number }>();
        for (const { filter: text, value, remove } of steps) {
          const key = `${value} ${text}`;
          if (remove) assert.equal(index.remove(text, value), held.delete(key));
          else {
            assert.equal(index.add(text, value, text), !held.has(key));
            held.set(key, { filter: text, value });
          }
          // Ask in between too, so that remembered matches have to be forgotten.
          index.match(topics[0] as string);
        }
        assert.equal(index.size, held.size);
        for (const text of topics) {
          const found = index.match(text).map((entry) => `${entry.value} ${entry.detail}`);
          const expected = [...held.values()]
            .filter((one) => topicMatches(one.filter, text))
            .map((one) => `${one.value} ${one.filter}`);
          assert.deepEqual(found.toSorted(), expected.toSorted());
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('filters that MQTT forbids have a fault and those that it allows have none', () => {
  for (const bad of ['', 'a#', 'a/#/b', '#/a', 'a+', '+a/b', 'a\0']) {
    assert.notEqual(topicFilterFault(bad), null, bad);
  }
  for (const good of ['#', '+', '/', '+/+', 'a/+/b/#', '/#', 'a//b', '$SYS/#']) {
    assert.equal(topicFilterFault(good), null, good);
  }
});

test('a filter that ends in # also matches its parent level', () => {
  const index = new TopicIndex<string, null>();
  index.add('sport/#', 'x', null);
  assert.equal(index.matches('sport'), true);
  assert.equal(index.matches('sports'), false);
});

test('a topic keeps its lane', () => {
  assert.equal(laneOf('fleet/a/b'), laneOf('fleet/a/c'));
  const lanes = new Set(Array.from({ length: 100 }, (_, i) => laneOf(`fleet/${i}`)));
  assert.equal(lanes.size, 4);
});

test('a filter may have more holders than a call may have arguments', () => {
  const index = new TopicIndex<number, null>();
  for (let i = 0; i < 150_000; i++) {
    index.add('all', i, null);
    index.add('all/+', i, null);
    index.add('all/#', i, null);
  }
  assert.equal(index.match('all').length, 300_000);
  assert.equal(index.match('all/1').length, 300_000);
});

test('remembered matches take no more memory for many topics with many holders', () => {
  const index = new TopicIndex<number, null>();
  for (let i = 0; i < 5_000; i++) index.add('#', i, null);
  const before = liveHeap();
  for (let i = 0; i < 3_000; i++) assert.equal(index.match(`t/${i}`).length, 5_000);
  assert.equal(index.match('t/0').length, 5_000);
  // All of them would be 15 million references, 120 MB.
  const kept = liveHeap() - before;
  assert.ok(kept < 40e6, `${kept} bytes are kept`);
});

test('an answer is the same array until something in it changes', () => {
  const index = new TopicIndex<string, number>();
  index.add('a/b', 'x', 0);
  index.add('a/#', 'y', 0);
  const first = index.match('a/b');
  for (let i = 0; i < 50; i++) index.add(`other/${i}/+`, 'z', 0);
  assert.equal(index.match('a/b'), first);
  index.add('a/+', 'z', 0);
  const second = index.match('a/b');
  assert.equal(second.length, 3);
  index.add('a/+', 'z', 1);
  const third = index.match('a/b');
  assert.notEqual(third, second);
  assert.equal(third.find((entry) => entry.value === 'z')?.detail, 1);
  index.remove('a/+', 'z');
  assert.deepEqual(
    index
      .match('a/b')
      .map((entry) => entry.value)
      .toSorted(),
    ['x', 'y'],
  );
  index.remove('a/b', 'x');
  assert.equal(index.match('a/b').length, 1);
});

test('what is asked for stays remembered while many other topics pass', () => {
  const index = new TopicIndex<string, null>();
  index.add('#', 'x', null);
  const hot = index.match('hot');
  for (let i = 0; i < 100_000; i++) {
    index.match(`passing/${i}`);
    if (i % 1_000 === 0) assert.equal(index.match('hot'), hot);
  }
});

test('a shared subscription has a group and a sound filter, or a fault', () => {
  assert.deepEqual(parseShare('$share/g/a/+/#'), { group: 'g', filter: 'a/+/#' });
  assert.deepEqual(parseShare('$share/g//'), { group: 'g', filter: '/' });
  assert.deepEqual(parseShare('$share/g/$SYS/#'), { group: 'g', filter: '$SYS/#' });
  for (const bad of ['$share', '$share/', '$share/g', '$share/g/', '$share//a', '$share/+/a']) {
    assert.equal(typeof parseShare(bad), 'string', bad);
  }
  assert.equal(typeof parseShare('$share/g#/a'), 'string');
  assert.equal(typeof parseShare('$share/g/a#'), 'string');
  for (const other of ['share/g/a', '$shared/g/a', '+/share', '$SYS/#']) {
    assert.equal(parseShare(other), null, other);
  }
});
