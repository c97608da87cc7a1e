/** An edge's rules on their own: kept on disk, taken back as a whole, applied to what goes and comes. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseRules } from '../../base/rules/rule.ts';
import { EdgeRules } from '../../bridge/rules/edge-rules.ts';
import { ruleSetOf } from '../../proto/rule-set.ts';
import { common, publication, withFolder } from '../support/trunk-world.ts';

function setOf(version: number, ...rules: unknown[]) {
  return ruleSetOf(version, parseRules({ rules }));
}

const stay = { direction: 'up', filter: 'stay/#', deny: true };
const prefixed = { direction: 'up', filter: '#', prefix: 'p/', maximum_qos: 1 };

test('a set is on disk before it is in force, and there again after a restart', async () => {
  await withFolder(async (folder) => {
    const file = join(folder, 'rules.json');
    const rules = await EdgeRules.open(common(), file);
    let wasOnDisk = '';
    rules.onChanged(() => {
      wasOnDisk = `version ${rules.version}`;
    });
    await rules.apply(setOf(7, stay, prefixed));
    assert.equal(wasOnDisk, 'version 7');
    assert.equal(JSON.parse(await readFile(file, 'utf8')).version, 7);
    const again = await EdgeRules.open(common(), file);
    assert.equal(again.version, 7);
    assert.equal(again.topics.up('stay/x'), null);
    assert.equal(again.topics.up('x')?.topic, 'p/x');
  });
});

test('a damaged file is an error with a remedy, not a start without rules', async () => {
  await withFolder(async (folder) => {
    const file = join(folder, 'rules.json');
    await writeFile(file, '{"version": 1, "rules": [{}]}');
    const opening = EdgeRules.open(common(), file);
    await assert.rejects(opening, { code: 'rules-invalid', message: /Rule 1.*Mend the file/s });
  });
});

test('a change that cannot be carried out leaves the earlier rules in force and on disk', async () => {
  await withFolder(async (folder) => {
    const file = join(folder, 'rules.json');
    const rules = await EdgeRules.open(common(), file);
    await rules.apply(setOf(1, stay, prefixed));
    rules.onChanged(() => {
      throw new Error('no more lanes');
    });
    await assert.rejects(rules.apply(setOf(2, stay)), /no more lanes/);
    assert.equal(rules.version, 1);
    assert.equal(rules.topics.up('x')?.topic, 'p/x');
    assert.equal(JSON.parse(await readFile(file, 'utf8')).version, 1);
  });
});

test('what may not go any more leaves an empty record in its place, and QoS 0 none', async () => {
  const rules = new EdgeRules(common());
  await rules.apply(setOf(1, stay, prefixed));
  const items = [
    { sequence: 5, publication: publication('stay/x', 'secret', { retain: true }) },
    { sequence: 6, publication: publication('go/x', 'open', { qos: 2 }) },
    { sequence: 0, publication: publication('stay/x', 'secret', { qos: 0 }) },
  ];
  const outgoing = rules.outgoing(items);
  assert.deepEqual(
    outgoing.map(({ sequence, publication: { topic, payload, qos, retain } }) => {
      return [sequence, topic, payload.toString(), qos, retain];
    }),
    [
      [5, '$trunkline/void', '', 1, false],
      [6, 'p/go/x', 'open', 1, false],
    ],
  );
});

test('what comes down is held against the rules again', async () => {
  const rules = new EdgeRules(common());
  const from = [
    { direction: 'down', filter: 'a', deny: true },
    { direction: 'down', filter: '+', prefix: 'p/', maximum_qos: 0 },
  ];
  await rules.apply(setOf(1, ...from));
  const items = ['p/a', 'p/b', 'b', 'p/b/c'].map((topic, index) => {
    return { sequence: index + 1, publication: publication(topic, '') };
  });
  const incoming = rules.incoming(items).map(({ sequence, publication: { topic, qos } }) => {
    return [sequence, topic, qos];
  });
  assert.deepEqual(incoming, [[2, 'b', 0]]);
});

test('a lane map changes its name with the priorities, and not with what does not move a topic', async () => {
  const rules = new EdgeRules(common());
  const plain = rules.laneMap(4);
  await rules.apply(setOf(1, stay, prefixed));
  const denying = rules.laneMap(4);
  assert.equal(denying.id, plain.id);
  assert.equal(denying.goesUp?.('stay/x', 1), false);
  assert.equal(denying.goesUp?.('x', 1), true);
  await rules.apply(setOf(2, { direction: 'up', filter: 'hot/#', priority: 'high' }, prefixed));
  const urgent = rules.laneMap(4);
  assert.notEqual(urgent.id, plain.id);
  assert.equal(urgent.laneFor('hot/x'), 4);
  assert.equal(urgent.laneFor('x'), plain.laneFor('x'));
});

test('without rules nothing is copied', () => {
  const rules = new EdgeRules(common());
  const items = [{ sequence: 1, publication: publication('x', '') }];
  assert.equal(rules.outgoing(items), items);
  assert.equal(rules.incoming(items), items);
});
