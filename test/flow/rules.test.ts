/** Rules of the trunk with real edges and a core: each kind, changed while everything runs. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { attached, metric, restartCore, startEdge } from '../support/fleet.ts';
import type { RunningProcess } from '../support/processes.ts';
import { down, RulesWorld, up } from '../support/rules-world.ts';
import { until } from '../support/until.ts';

let world: RulesWorld;

before(async () => {
  world = await RulesWorld.start();
});

afterEach(() => world.clear());

after(() => world.stop());

test('what a rule denies stays at its edge, at each QoS; the rest goes', async () => {
  const set = await world.change({ rules: [up('secret/#', { deny: true }), up('#')] });
  assert.deepEqual(
    set.edges.map(({ edge_id, acknowledged }) => [edge_id, acknowledged]),
    [
      ['edge-a', true],
      ['edge-b', true],
    ],
  );
  const far = await world.subscriberOnB('#');
  const near = await world.connect(world.urlA);
  await near.subscribe('secret/#', 2);
  const sender = await world.connect(world.urlA);
  for (const qos of [0, 1, 2] as const) await sender.publish('secret/x', `${qos}`, { qos });
  await sender.publish('open', 'end', { qos: 1 });
  await near.expect(3);
  await far.expect(1);
  assert.deepEqual(far.texts, ['end']);
  const denied = await metric(
    world.fleet.edges[0]!,
    'trunkline_rules_denied_total{direction="up"}',
  );
  assert.ok(denied >= 2, `${denied} denied`);
});

test('a prefix is put in front upwards, taken off downwards, and the QoS is lowered', async () => {
  await world.change({
    name: 'edge-a',
    rules: [up('plant/#', { prefix: 'site-a/', maximum_qos: 1 })],
  });
  await world.change({
    name: 'edge-b',
    rules: [down('plant/+', { prefix: 'site-a/', maximum_qos: 0 })],
  });
  const far = await world.subscriberOnB('#');
  const sender = await world.connect(world.urlA);
  await sender.publish('office/x', 'stays', { qos: 1 });
  await sender.publish('plant/deep/x', 'not for b', { qos: 1 });
  await sender.publish('plant/x', 'comes', { qos: 2 });
  await far.expect(1);
  assert.deepEqual(
    far.received.map(({ topic, text, qos }) => [topic, text, qos]),
    [['plant/x', 'comes', 0]],
  );
  await world.change({ name: 'edge-b', remove: true });
  await sender.publish('plant/x', 'by its whole name', { qos: 2 });
  await far.expect(2);
  const { topic, qos } = far.received[1] as { topic: string; qos: number };
  assert.deepEqual([topic, qos], ['site-a/plant/x', 1]);
});

test('a change holds at once, for filters that were wanted all along', async () => {
  const far = await world.subscriberOnB('live/#');
  const sender = await world.connect(world.urlA);
  await sender.publish('live/x', '1', { qos: 1 });
  await far.expect(1);
  await world.change({ name: 'edge-b', rules: [down('live/y')] });
  await sender.publish('live/x', '2', { qos: 1 });
  await sender.publish('live/y', '3', { qos: 1 });
  await far.expect(2);
  await world.change({ name: 'edge-b', rules: [down('live/#')] });
  await sender.publish('live/x', '4', { qos: 1 });
  await far.expect(3);
  assert.deepEqual(far.texts, ['1', '3', '4']);
});

test('order holds when a topic changes to another priority under load', async () => {
  const far = await world.subscriberOnB('busy/#');
  const sender = await world.connect(world.urlA);
  const sent = Array.from({ length: 600 }, (_, i) => `${i}`);
  const sending = Promise.all(sent.map((text) => sender.publish('busy/x', text, { qos: 1 })));
  await world.change({ rules: [up('busy/#', { priority: 'high' }), up('#')] });
  await world.change({ rules: [up('busy/#', { priority: 'bulk' }), up('#')] });
  await sending;
  await far.expect(600);
  assert.deepEqual(far.texts, sent);
});

test('rules outlive restarts of the edge, before a core answers, and of the core', async () => {
  await world.change({ rules: [up('secret/#', { deny: true }), up('#')] });
  await world.fleet.core.kill();
  const [edgeA] = world.fleet.edges as [RunningProcess];
  await edgeA.stop();
  world.fleet.edges[0] = await startEdge(world.fleet.core, 'edge-a', edgeA);
  const sender = await world.connect(world.urlA);
  await sender.publish('secret/x', 'stays', { qos: 1 });
  await sender.publish('open', 'goes', { qos: 1 });
  const far = await world.connect(world.urlB);
  await far.subscribe('#', 1);
  world.fleet.core = await restartCore(world.fleet.core);
  await attached(world.fleet.core, 2);
  await far.expect(1);
  assert.deepEqual(far.texts, ['goes']);
  // Of before the change: by the time it is sent, its topic is denied.
  const told = await world.change({ rules: [up('#')] });
  assert.ok(told.edges.every(({ acknowledged }) => acknowledged));
  await sender.publish('secret/x', 'free again', { qos: 1 });
  await far.expect(2);
});

test('an edge that was away gets the rules when it comes back', async () => {
  const [, edgeB] = world.fleet.edges as [RunningProcess, RunningProcess];
  await edgeB.stop();
  await attached(world.fleet.core, 1);
  const { version } = await world.change({ rules: [down('welcome')] });
  world.fleet.edges[1] = await startEdge(world.fleet.core, 'edge-b', edgeB);
  await until(async () => {
    return (await metric(world.fleet.edges[1]!, 'trunkline_rules_version')) === version;
  }, 'the edge has the rules');
});
