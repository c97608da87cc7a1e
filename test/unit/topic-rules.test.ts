/** Rules on their own: which decides, under which name a topic goes, and what is asked of the core. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseRules, type Rule } from '../../base/rules/rule.ts';
import { TopicRules } from '../../base/rules/topic-rules.ts';
import { topicMatches } from '../../base/topic.ts';
import { ruleSetOf, rulesOf } from '../../proto/rule-set.ts';

function rulesFrom(...rules: unknown[]): TopicRules {
  return new TopicRules(parseRules({ rules }));
}

test('without rules of a direction, everything goes as it is', () => {
  const rules = rulesFrom({ direction: 'up', filter: 'a/#' });
  assert.deepEqual(rules.interest('x/+'), ['x/+']);
  assert.equal(rules.down('x/y')?.topic, 'x/y');
  assert.equal(rules.above('x'), 'x');
  assert.equal(rules.hasDown, false);
});

test('the first rule that matches decides, and what none matches does not go', () => {
  const rules = rulesFrom(
    { direction: 'up', filter: 'plant/secret/#', deny: true },
    { direction: 'up', filter: 'plant/alarm', priority: 'high', maximum_qos: 1 },
    { direction: 'up', filter: 'plant/#', prefix: 'site-1/', priority: 'bulk' },
  );
  assert.equal(rules.up('plant/secret/x'), null);
  assert.equal(rules.up('office/x'), null);
  assert.deepEqual(rules.up('plant/alarm'), {
    topic: 'plant/alarm',
    maximumQos: 1,
    priority: 'high',
  });
  assert.deepEqual(rules.up('plant/x'), {
    topic: 'site-1/plant/x',
    maximumQos: 2,
    priority: 'bulk',
  });
  assert.equal(rules.ruleOf('up', 'plant/alarm'), 2);
  assert.equal(rules.ruleOf('up', 'office'), 0);
});

test('topics that begin with $ are beyond rules', () => {
  const rules = rulesFrom(
    { direction: 'up', filter: '#', deny: true },
    { direction: 'down', filter: '#', prefix: 'p/' },
  );
  assert.equal(rules.up('$canary/1')?.topic, '$canary/1');
  assert.equal(rules.down('$canary/1')?.topic, '$canary/1');
  assert.deepEqual(rules.interest('$canary/#'), ['$canary/#']);
  assert.equal(rules.down('p/$canary/1'), null);
});

test('a topic with its prefix that is longer than topics may be does not go', () => {
  const rules = rulesFrom({ direction: 'up', filter: '#', prefix: 'site/' });
  assert.equal(rules.up('x'.repeat(65_535)), null);
  assert.equal(rules.up('x'.repeat(65_530))?.topic.length, 65_535);
});

const level = fc.constantFrom('a', 'b');
const topic = fc.array(level, { minLength: 1, maxLength: 3 }).map((levels) => levels.join('/'));
const filter = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', '+'), { maxLength: 3 }), fc.boolean())
  .filter(([levels, isOpen]) => levels.length > 0 || isOpen)
  .map(([levels, isOpen]) => [...levels, ...(isOpen ? ['#'] : [])].join('/'));
const rule: fc.Arbitrary<Rule> = fc.record({
  direction: fc.constant('down' as const),
  filter,
  prefix: fc.constantFrom('', 'a/', 'a/b/', 'x/'),
  maximumQos: fc.constantFrom(0, 1, 2),
  priority: fc.constant('normal' as const),
  deny: fc.boolean(),
});
const coreTopic = fc
  .tuple(fc.constantFrom('', 'a/', 'a/b/', 'x/'), topic)
  .map((two) => two.join(''));

test('whatever may come down for a filter is asked for', () => {
  const property = fc.property(
    fc.array(rule, { minLength: 1, maxLength: 5 }),
    filter,
    coreTopic,
    (list, wanted, name) => {
      const rules = new TopicRules(list);
      const passage = rules.down(name);
      if (passage === null || !topicMatches(wanted, passage.topic)) return;
      assert.ok(rules.interest(wanted).some((one) => topicMatches(one, name)));
    },
  );
  fc.assert(property, { numRuns: 5_000 });
});

test('a name that a topic has above leads back to the topic', () => {
  const property = fc.property(
    fc.array(rule, { minLength: 1, maxLength: 5 }),
    topic,
    (list, name) => {
      const rules = new TopicRules(list);
      const above = rules.above(name);
      const first = list.find((one) => topicMatches(one.filter, name));
      if (first === undefined || first.deny) assert.equal(above, null);
      if (above !== null) assert.equal(rules.down(above)?.topic, name);
    },
  );
  fc.assert(property, { numRuns: 5_000 });
});

test('rules survive the wire', () => {
  const list = parseRules({
    rules: [
      { direction: 'up', filter: 'a', priority: 'high', maximum_qos: 0 },
      { direction: 'down', filter: 'b/+', prefix: 'p/' },
      { direction: 'down', filter: '#', deny: true },
    ],
  });
  assert.deepEqual(rulesOf(ruleSetOf(3, list).rules), list);
});

const faulty: [string, unknown, RegExp][] = [
  ['no list', { rules: 1 }, /"rules" is 1/],
  ['a stranger beside the list', { rule: [] }, /"rule" beside "rules"/],
  ['an unknown field', { rules: [{ direction: 'up', filter: 'a', qos: 1 }] }, /Rule 1 has "qos"/],
  ['no direction', { rules: [{ filter: 'a' }] }, /Rule 1 has no direction.*"up", "down"/],
  [
    'a bad filter in the second',
    {
      rules: [
        { direction: 'up', filter: 'a' },
        { direction: 'up', filter: 'a#' },
      ],
    },
    /Rule 2 has the filter "a#"/,
  ],
  [
    'a prefix without its slash',
    { rules: [{ direction: 'up', filter: 'a', prefix: 'p' }] },
    /"p\/"/,
  ],
  [
    'a prefix with a wildcard',
    { rules: [{ direction: 'up', filter: 'a', prefix: '+/' }] },
    /wildcard/,
  ],
  ['a QoS of 3', { rules: [{ direction: 'up', filter: 'a', maximum_qos: 3 }] }, /maximum_qos 3/],
  [
    'a priority downwards',
    { rules: [{ direction: 'down', filter: 'a', priority: 'high' }] },
    /"up" alone/,
  ],
  ['a filter of $', { rules: [{ direction: 'up', filter: '$SYS/#' }] }, /stay at their edge/],
  [
    'a prefix beside deny',
    { rules: [{ direction: 'up', filter: 'a', deny: true, prefix: 'p/' }] },
    /leave it out/,
  ],
];
for (const [what, given, words] of faulty) {
  test(`rules with ${what} are refused with the place and the remedy`, () => {
    assert.throws(() => parseRules(given), { code: 'rules-invalid', message: words });
  });
}
