/** Retained messages found by filter, against the slow and obvious matcher over all of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { topicFilterFault, topicMatches, topicNameFault } from '../../base/topic.ts';
import type { Retained } from '../../broker/routing/retained.ts';
import { openRetained, retainedPublication as publication } from '../support/retained.ts';

const level = fc.constantFrom('', 'a', 'b', 'ab', '$SYS', '$', 'ä', '__proto__');
const topic = fc
  .array(level, { minLength: 1, maxLength: 5 })
  .map((levels) => levels.join('/'))
  .filter((text) => topicNameFault(text) === null);
const filter = fc
  .tuple(
    fc.array(fc.oneof(level, fc.constant('+')), { maxLength: 4 }),
    fc.constantFrom('', '#', '+', 'a'),
  )
  .map(([levels, last]) => [...levels, last].join('/'))
  .filter((text) => topicFilterFault(text) === null);

async function found(retained: Retained, text: string): Promise<string[]> {
  const all: string[] = [];
  for await (const step of retained.walk(text)) {
    all.push(...step.map((one) => `${one.topic} ${one.payload}`));
  }
  return all;
}

test('what a filter finds is what the obvious matcher finds, through changes and deletions', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ topic, text: fc.constantFrom('', 'x', 'y') }), { maxLength: 40 }),
      fc.array(filter, { minLength: 1, maxLength: 10 }),
      async (steps, filters) => {
        const { retained } = openRetained();
        const held = new Map<string, string>();
        for (const [i, step] of steps.entries()) {
          retained.set(publication(step.topic, step.text), i + 1);
          if (step.text === '') held.delete(step.topic);
          else held.set(step.topic, step.text);
        }
        assert.equal(retained.count, held.size);
        for (const text of filters) {
          const expected = [...held].filter(([name]) => topicMatches(text, name));
          assert.deepEqual(
            (await found(retained, text)).toSorted(),
            expected.map(([name, payload]) => `${name} ${payload}`).toSorted(),
          );
        }
      },
    ),
    { numRuns: 500 },
  );
});

test('a filter of many wildcards over deep topics takes no longer than the topics are many', async () => {
  const { retained } = openRetained();
  const deep = (last: number) => `${'a/'.repeat(50)}${last}`;
  for (let i = 0; i < 1_000; i++) retained.set(publication(deep(i), 'x'), i + 1);
  const from = performance.now();
  assert.equal((await found(retained, `${'+/'.repeat(50)}+`)).length, 1_000);
  assert.equal((await found(retained, `${'+/'.repeat(40)}#`)).length, 1_000);
  assert.equal((await found(retained, `${'+/'.repeat(60)}#`)).length, 0);
  assert.ok(performance.now() - from < 500);
});
