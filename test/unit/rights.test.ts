/** Rights as pure decisions, against the slow and obvious: every topic of a small world. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadConfig } from '../../base/config.ts';
import { configSchema } from '../../base/config-schema.ts';
import { Rights } from '../../base/rights/rights.ts';
import { type Subject, subjectOf } from '../../base/rights/subject.ts';
import { topicFilterFault, topicMatches } from '../../base/topic.ts';

interface RuleOf {
  readonly effect?: 'allow' | 'deny';
  readonly action?: 'publish' | 'subscribe';
  readonly filter: string;
  readonly [more: string]: unknown;
}

function rightsOf(rules: readonly RuleOf[], role: readonly object[] = []): Rights {
  const rule = rules.map((one, index) => ({
    ...{ name: `rule-${index + 1}`, effect: 'allow', action: 'publish' },
    ...one,
  }));
  return new Rights(configSchema.parse({ rights: { rule, role } }).rights);
}

function mayPublish(rights: Rights, subject: Subject, topic: string): boolean {
  return rights.of(subject).publish(topic, { qos: 0, retain: false, will: false }).isAllowed;
}

function maySubscribe(rights: Rights, subject: Subject, filter: string): boolean {
  return rights.of(subject).subscribe(filter, 0).isAllowed;
}

/** Rules name no `z`: it stands for all that they do not name. */
const names = ['', 'a', 'b', 'z', '$s'];
const topics = [1, 2, 3, 4].flatMap((depth) => {
  let all: string[][] = [[]];
  for (let i = 0; i < depth; i++) all = all.flatMap((some) => names.map((name) => [...some, name]));
  return all.map((levels) => levels.join('/')).filter((topic) => topic !== '');
});

const filter = fc
  .tuple(fc.array(fc.constantFrom('', 'a', 'b', '+'), { minLength: 0, maxLength: 3 }), fc.boolean())
  .map(([levels, isOpen]) => [...levels, ...(isOpen ? ['#'] : [])].join('/'))
  .filter((text) => topicFilterFault(text) === null);

test('a subscription is granted exactly when all that it matches is allowed and nothing is denied', () => {
  fc.assert(
    fc.property(
      fc.array(filter, { minLength: 1, maxLength: 4 }),
      fc.array(filter, { maxLength: 2 }),
      filter,
      (allowed, denied, asked) => {
        const rights = rightsOf([
          ...allowed.map((one) => ({ action: 'subscribe', filter: one }) as const),
          ...denied.map((one) => ({ action: 'subscribe', effect: 'deny', filter: one }) as const),
        ]);
        const expected = topics.every(
          (topic) =>
            !topicMatches(asked, topic) ||
            (allowed.some((one) => topicMatches(one, topic)) &&
              !denied.some((one) => topicMatches(one, topic))),
        );
        const given = maySubscribe(rights, subjectOf({ clientId: 'c' }), asked);
        assert.equal(given, expected, `${asked} of ${allowed} without ${denied}`);
      },
    ),
    { numRuns: 1_500 },
  );
});

test('a publication is allowed exactly when a rule allows its topic and none denies it', () => {
  fc.assert(
    fc.property(
      fc.array(filter, { minLength: 1, maxLength: 3 }),
      fc.array(filter, { maxLength: 2 }),
      (allowed, denied) => {
        const rights = rightsOf([
          ...allowed.map((one) => ({ filter: one })),
          ...denied.map((one) => ({ effect: 'deny', filter: one }) as const),
        ]);
        for (const topic of topics) {
          const expected =
            !topic.startsWith('$') &&
            allowed.some((one) => topicMatches(one, topic)) &&
            !denied.some((one) => topicMatches(one, topic));
          const given = mayPublish(rights, subjectOf({ clientId: 'c' }), topic);
          assert.equal(given, expected, `${topic} of ${allowed} without ${denied}`);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('several rules together may cover what none of them covers', () => {
  const rights = rightsOf([
    { action: 'subscribe', filter: 'a' },
    { action: 'subscribe', filter: 'a/+/#' },
  ]);
  const subject = subjectOf({ clientId: 'c' });
  assert.equal(maySubscribe(rights, subject, 'a/#'), true);
  assert.equal(maySubscribe(rights, subject, '+/#'), false);
});

test('the value of a placeholder is text, whatever characters it has', () => {
  const rights = rightsOf([
    { filter: 'd/{client}/#' },
    { action: 'subscribe', filter: 'd/{client}/#' },
    { action: 'subscribe', filter: '{client}/#' },
  ]);
  for (const clientId of ['+', '#', 'a/b', 'a/+', '{client}', '$SYS', '$share', '__proto__']) {
    const subject = subjectOf({ clientId });
    assert.equal(mayPublish(rights, subject, 'd/other/x'), false, clientId);
    for (const asked of ['d/+/x', 'd/#', '#', '+/#', 'd/other/#', 'd/a/b/#', '$SYS/#']) {
      assert.equal(maySubscribe(rights, subject, asked), false, `${clientId} for ${asked}`);
    }
  }
  assert.equal(mayPublish(rights, subjectOf({ clientId: '__proto__' }), 'd/__proto__/x'), true);
  assert.equal(maySubscribe(rights, subjectOf({ clientId: 'm' }), 'd/m/#'), true);
});

test('what a placeholder does not know gives nothing and takes everything', () => {
  const rights = rightsOf([
    { filter: '{label.site}/#' },
    { filter: 'x/#' },
    { effect: 'deny', filter: 'x/{label.site}/secret' },
  ]);
  const nobody = subjectOf({ clientId: 'm' });
  const known = subjectOf({ clientId: 'm', labels: new Map([['site', 'north']]) });
  assert.equal(mayPublish(rights, nobody, 'north/a'), false);
  assert.equal(mayPublish(rights, nobody, 'x/anything/secret'), false);
  assert.equal(mayPublish(rights, nobody, 'x/anything'), true);
  assert.equal(mayPublish(rights, known, 'north/a'), true);
  assert.equal(mayPublish(rights, known, 'x/north/secret'), false);
  assert.equal(mayPublish(rights, known, 'x/south/secret'), true);
});

test('QoS, retain and will are rights of their own, and a decision names its rule', () => {
  const rights = rightsOf([
    { name: 'readings', filter: 'r/#', qos: 1 },
    { name: 'state', filter: 's/#', retain: true },
    { name: 'last-words', filter: 'w/#', will: true },
    { name: 'no-flags', effect: 'deny', filter: 's/flag', retain: true },
  ]);
  const grants = rights.of(subjectOf({ clientId: 'm' }));
  const decide = (topic: string, qos: 0 | 1 | 2, retain: boolean, will: boolean) => {
    const { isAllowed, reason, rule } = grants.publish(topic, { qos, retain, will });
    return `${isAllowed} ${reason} ${rule}`;
  };
  assert.equal(decide('r/1', 1, false, false), 'true allowed readings');
  assert.equal(decide('r/1', 2, false, false), 'false qos readings');
  assert.equal(decide('r/1', 1, true, false), 'false retain readings');
  assert.equal(decide('s/1', 2, true, false), 'true allowed state');
  assert.equal(decide('s/1', 0, false, true), 'false will state');
  assert.equal(decide('s/flag', 0, true, false), 'false denied no-flags');
  assert.equal(decide('s/flag', 0, false, false), 'true allowed state');
  assert.equal(decide('w/1', 0, false, true), 'true allowed last-words');
  assert.equal(decide('x', 0, false, false), 'false no-rule ');
  assert.equal(decide('$SYS/x', 0, false, false), 'false reserved ');
  assert.deepEqual(grants.topicRights('r/1'), { plain: 1, retained: -1 });
});

test('a subscription is granted at the highest QoS that is allowed', () => {
  const rights = rightsOf([
    { action: 'subscribe', filter: 'a/#', qos: 0 },
    { action: 'subscribe', filter: 'a/b', qos: 1 },
  ]);
  const grants = rights.of(subjectOf({ clientId: 'm' }));
  assert.equal(grants.subscribe('a/b', 2).qos, 1);
  assert.equal(grants.subscribe('a/+', 2).qos, 0);
  assert.equal(grants.subscribe('b', 2).isAllowed, false);
});

test('roles come from the credential and from the configuration, and others get nothing of them', () => {
  const rights = rightsOf(
    [
      { filter: 'm/#', roles: ['meters'] },
      { filter: 'one', devices: ['d-1'] },
    ],
    [{ name: 'meters', devices: ['d-2'], usernames: ['u-3'] }],
  );
  assert.equal(mayPublish(rights, subjectOf({ clientId: 'c', roles: ['meters'] }), 'm/1'), true);
  assert.equal(mayPublish(rights, subjectOf({ clientId: 'c', device: 'd-2' }), 'm/1'), true);
  assert.equal(mayPublish(rights, subjectOf({ clientId: 'c', username: 'u-3' }), 'm/1'), true);
  assert.equal(mayPublish(rights, subjectOf({ clientId: 'c', device: 'd-1' }), 'm/1'), false);
  assert.equal(mayPublish(rights, subjectOf({ clientId: 'c', device: 'd-1' }), 'one'), true);
  assert.equal(mayPublish(rights, subjectOf({ clientId: 'd-1', device: '' }), 'one'), false);
});

test('without rules everything but reserved topics is open', () => {
  const grants = rightsOf([]).of(subjectOf({ clientId: 'm' }));
  assert.equal(grants.publish('any', { qos: 2, retain: true, will: true }).isAllowed, true);
  assert.equal(grants.publish('$SYS/a', { qos: 0, retain: false, will: false }).isAllowed, false);
  assert.equal(grants.subscribe('#', 2).qos, 2);
  assert.equal(grants.subscribe('$queue/a', 0).isAllowed, false);
});

test('rules that can mean nothing are refused with a reason', () => {
  const fault = (rule: object) => {
    const given = { name: 'r', effect: 'allow', action: 'publish', filter: 'a', ...rule };
    try {
      const flags = { 'rights-rule': JSON.stringify([given]) };
      loadConfig({ env: {}, flags });
      return 'none';
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.match(fault({ filter: 'a/#/b' }), /rights\.rule\.0\.filter.*whole last level/);
  assert.match(fault({ filter: 'a/{clientid}' }), /has \{clientid\}; there are/);
  assert.match(fault({ filter: 'a/{client}-{username}' }), /two placeholders in one level/);
  assert.match(fault({ filter: '$share/g/a' }), /shared subscription/);
  assert.match(fault({ effect: 'deny', qos: 1 }), /leave qos out/);
  assert.match(fault({ action: 'subscribe', retain: true }), /leave them out/);
  assert.match(fault({ colour: 'red' }), /colour is not a setting/);
  assert.equal(fault({}), 'none');
});
