/** What two filters both match, against the slow and obvious: every topic of a small world. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { topicFilterFault, topicMatches } from '../../base/topic.ts';
import { coversFilter, intersectFilters } from '../../base/topic-filters.ts';

const names = ['', 'a', 'b', '$s'];

/** Every topic of up to four levels. */
const topics = [1, 2, 3, 4].flatMap((depth) => {
  let all: string[][] = [[]];
  for (let i = 0; i < depth; i++) all = all.flatMap((some) => names.map((name) => [...some, name]));
  return all.map((levels) => levels.join('/')).filter((topic) => topic !== '');
});

const filter = fc
  .tuple(
    fc.array(fc.constantFrom('', 'a', 'b', '$s', '+'), { minLength: 0, maxLength: 3 }),
    fc.boolean(),
  )
  .map(([levels, isOpen]) => [...levels, ...(isOpen ? ['#'] : [])].join('/'))
  .filter((text) => topicFilterFault(text) === null);

test('the intersection of two filters matches exactly what both match', () => {
  fc.assert(
    fc.property(filter, filter, (one, other) => {
      const both = intersectFilters(one, other);
      for (const topic of topics) {
        const expected = topicMatches(one, topic) && topicMatches(other, topic);
        const given = both !== null && topicMatches(both, topic);
        assert.equal(given, expected, `${one} and ${other} give ${both}, asked for ${topic}`);
      }
      if (both !== null) assert.equal(topicFilterFault(both), null);
    }),
    { numRuns: 2_000 },
  );
});

test('a filter covers another exactly when it matches all that the other matches', () => {
  fc.assert(
    fc.property(filter, filter, (wide, narrow) => {
      // Four levels tell all filters of three apart.
      const expected = topics.every(
        (topic) => !topicMatches(narrow, topic) || topicMatches(wide, topic),
      );
      assert.equal(coversFilter(wide, narrow), expected, `${wide} and ${narrow}`);
    }),
    { numRuns: 2_000 },
  );
});
