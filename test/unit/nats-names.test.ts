/** Topics as subjects of NATS, which servers may be used, and how filters for other cores are bounded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { topicMatches, topicNameFault } from '../../base/topic.ts';
import { widened } from '../../core/backplane/nats/filter-bound.ts';
import { Names, topicOfSubject, topicSubject } from '../../core/backplane/nats/names.ts';
import { versionFault } from '../../core/backplane/nats/server-version.ts';
import { SourceMarks } from '../../core/backplane/nats/source-marks.ts';

const level = fc.oneof(
  fc.constantFrom(
    '',
    '.',
    ' ',
    '*',
    '>',
    '=',
    '=2e',
    '~',
    '$',
    'ä',
    '日本',
    '\u007f',
    '\t',
    'a.b c',
  ),
  fc.string({ maxLength: 6 }),
);
const topic = fc
  .array(level, { minLength: 1, maxLength: 6 })
  .map((levels) => levels.join('/'))
  .filter((text) => topicNameFault(text) === null && Buffer.from(text).toString() === text);

test('every topic has a subject of its own, which NATS takes and which leads back to it', () => {
  fc.assert(
    fc.property(topic, (text) => {
      const subject = topicSubject(text);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: NATS takes none of them.
      assert.doesNotMatch(subject, /[\x00-\x20\x7f*>]|\.\.|^\.|\.$/);
      assert.equal(topicOfSubject(subject), text);
    }),
  );
});

test('a topic that is too long for a subject has a hash in its place', () => {
  const [one, other] = ['a', 'b'].map((end) => topicSubject('x'.repeat(60_000) + end));
  assert.match(one ?? '', /^x\.[0-9a-f]{64}$/);
  assert.notEqual(one, other);
  assert.equal(topicOfSubject(one ?? ''), null);
});

test('keys of tables lead back to themselves', () => {
  const names = new Names('tl1');
  for (const key of ['default', 'edge.1', 'a b', '', '*', '>']) {
    assert.equal(names.tableKey('rules', names.tableSubject('rules', key)), key);
  }
  assert.equal(names.tableKey('rules', names.tableSubject('other', 'x')), null);
});

test('servers that are too old, or that lose what they acknowledged, are refused', () => {
  for (const good of ['2.9.0', '2.9.10', '2.10.23', '2.11.0', '2.12.12', '2.14.3-RC.1', '3.0.0']) {
    assert.equal(versionFault(good), null, good);
  }
  for (const bad of ['2.8.4', '2.10.0', '2.10.22', '1.4.1', '', 'x.y.z']) {
    assert.match(versionFault(bad) ?? '', /Upgrade|Check the address/, bad);
  }
});

test('too many filters give way to fewer that want at least as much', () => {
  const few = ['a/b', '+/c', '#'];
  assert.deepEqual(widened(few), few);
  const many = Array.from(
    { length: 50_000 },
    (_, i) => `site${i % 5}/line${i % 40}/device${i}/state`,
  );
  const bounded = widened([...many, '$edge/x']);
  assert.ok(bounded.length <= 2_000);
  for (const filter of [...many.slice(0, 200), '$edge/x']) {
    assert.ok(
      bounded.some((wide) => topicMatches(wide, filter)),
      filter,
    );
  }
  assert.ok(widened(Array.from({ length: 50_000 }, (_, i) => `d${i}/x`)).includes('#'));
});

test('a source is whole up to the first sequence that is missing, in whatever order they come', () => {
  const marks = new SourceMarks();
  const source = { origin: 'e', epoch: 's', lane: 1 };
  const heard: string[] = [];
  const wait = (through: number) =>
    marks.whenThrough(source, {
      through,
      done: () => heard.push(`${through}`),
      lost: () => heard.push(`lost ${through}`),
    });
  for (const through of [3, 6, 9]) wait(through);
  marks.add(source, 4, 6);
  assert.deepEqual([marks.through(source), heard], [0, []]);
  marks.add(source, 1, 2);
  marks.add(source, 3, 3);
  assert.deepEqual([marks.through(source), heard], [6, ['3', '6']]);
  marks.raise(source, 7);
  marks.clear();
  assert.deepEqual(heard, ['3', '6', 'lost 9']);
  assert.equal(marks.through(source), undefined);
});
