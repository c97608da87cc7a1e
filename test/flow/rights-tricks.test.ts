/** Ways around the rights that take more than one packet, and rights that are taken back in use. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { row, TestGateway, until } from '../support/front.ts';
import {
  type Door,
  MqttPeer,
  type Peer,
  RightsWorld,
  type RuleOf,
  settingsOf,
} from '../support/rights-doors.ts';

const rules: readonly RuleOf[] = [
  { name: 'own-up', action: 'publish', filter: 'up/{client}/#', will: true },
  { name: 'own-down', action: 'subscribe', filter: 'down/{client}/#' },
  { name: 'news', action: 'subscribe', filter: 'news/#' },
  { name: 'chat', action: 'publish', filter: 'chat/#' },
  { name: 'anything', action: 'subscribe', filter: '#', roles: ['auditor'] },
  { name: 'any-out', action: 'publish', filter: '#', roles: ['auditor'], retain: true },
];
const withoutNews = rules.filter(({ name }) => name !== 'news');
const withoutUp = rules.filter(({ name }) => name !== 'own-up');

let world: RightsWorld;
let auditor: Peer;

before(async () => {
  world = await RightsWorld.open(rules);
  auditor = await enter(world.mqttDoors[1] as Door, 'auditor', 'auditor:auditor');
  await auditor.subscribe('#', 1);
});

beforeEach(() => {
  world.replace(rules);
  auditor.received.length = 0;
});

after(() => world.close());

async function enter(door: Door, clientId: string, user = 'user', clean = true): Promise<MqttPeer> {
  const peer = await door.open(clientId, { user, clean });
  assert.ok(peer !== null, `${clientId} at ${door.name}`);
  return peer as MqttPeer;
}

function dropped(): number {
  const text = world.edge.metrics.text();
  return Number(/trunkline_dropped_total\{reason="not-authorized"\} (\d+)/.exec(text)?.[1] ?? 0);
}

test('of one SUBSCRIBE each filter has its own answer, and what was refused is not there later', async () => {
  for (const door of world.mqttDoors) {
    const asked = ['news/#', '#', 'down/other/#', 'down/mixed/#', 'news/+/x'] as const;
    const peer = await enter(door, 'mixed', 'user', false);
    const codes = await peer.subscribeAll(asked.map((filter) => [filter, 1] as const));
    assert.deepEqual(codes, [1, -1, -1, 1, 1], door.name);
    await peer.cut();
    await auditor.publish('down/other/x', 'foreign');
    await auditor.publish('news/a', 'mine');
    const again = await enter(door, 'mixed', 'user', false);
    await again.settled();
    await auditor.publish('down/other/y', 'foreign');
    await auditor.publish('down/mixed/y', 'mine');
    await again.settled();
    assert.deepEqual(new Set(again.received), new Set(['news/a', 'down/mixed/y']), door.name);
    await again.cut();
    await (await enter(door, 'mixed')).cut();
  }
});

test('a subscription ends when its rule is taken back, without the end of the connection', async () => {
  for (const door of world.mqttDoors) {
    world.replace(rules);
    const peer = await enter(door, 'reader');
    await peer.subscribe('news/#', 1);
    await peer.subscribe('$share/g/news/#', 1);
    await peer.subscribe('down/reader/#', 1);
    world.replace(withoutNews);
    await auditor.publish('news/a', 'late');
    await auditor.publish('down/reader/a', 'mine');
    await peer.settled();
    assert.deepEqual(peer.received, ['down/reader/a'], door.name);
    assert.equal(await peer.subscribe('news/#', 1), -1, door.name);
    world.replace(rules);
    assert.equal(await peer.subscribe('news/#', 1), 1, door.name);
    await peer.cut();
  }
});

test('what waits for a client that is away is dropped, and counted, when its rule is taken back', async () => {
  for (const door of world.mqttDoors) {
    for (const isHeard of [true, false]) {
      world.replace(rules);
      const peer = await enter(door, 'away', 'user', false);
      await peer.subscribeAll([
        ['news/#', 2],
        ['down/away/#', 2],
      ]);
      await peer.cut();
      await auditor.publish('news/a', 'taken back', { qos: 1 });
      await auditor.publish('news/b', 'taken back', { qos: 2 });
      await auditor.publish('down/away/a', 'mine', { qos: 1 });
      const before = dropped();
      world.replace(withoutNews);
      // The rule is in force again before the client is back: what was taken back stays so.
      const again = isHeard ? await enter(door, 'away', 'user', false) : null;
      if (again !== null) {
        await until(() => again.received.length > 0);
        await again.settled();
        assert.deepEqual(again.received, ['down/away/a'], door.name);
        assert.equal(dropped() - before, 2, door.name);
        await again.cut();
      }
      world.replace(rules);
      const later = await enter(door, 'away', 'user', false);
      await auditor.publish('news/c', 'not subscribed any more');
      await later.settled();
      assert.equal(later.received.includes('news/c'), false, door.name);
      await later.cut();
      await (await enter(door, 'away')).cut();
    }
  }
});

test('retained messages go to no one whose rule is taken back', async () => {
  await auditor.publish('news/kept', 'kept', { retain: true });
  for (const door of world.mqttDoors) {
    world.replace(rules);
    const peer = await enter(door, 'late');
    assert.equal(await peer.subscribe('news/kept', 1), 1);
    world.replace(withoutNews);
    const other = await enter(door, 'later');
    assert.equal(await other.subscribe('news/kept', 1), -1);
    assert.equal(await other.subscribe('$share/g/news/kept', 1), -1);
    await other.settled();
    assert.deepEqual(other.received, [], door.name);
    await other.cut();
    await peer.cut();
  }
});

test('a will is not published when its rule is taken back meanwhile', async () => {
  for (const door of world.mqttDoors) {
    for (const delaySeconds of [0, 1]) {
      world.replace(rules);
      const will = { topic: 'up/leaver/will', qos: 1, delaySeconds } as const;
      const peer = await door.open('leaver', { user: 'user', clean: false, will });
      assert.ok(peer !== null);
      if (delaySeconds === 0) world.replace(withoutUp);
      await peer.cut();
      world.replace(withoutUp);
      // Its session ends, and with it the wait of the will.
      const heir = await enter(door, 'leaver', 'somebody-else');
      await heir.settled();
      await auditor.settled();
      assert.deepEqual(auditor.received, [], `${door.name}, delay ${delaySeconds}`);
      await heir.cut();
    }
  }
});

test('publishing ends with the next packet when its rule is taken back', async () => {
  for (const door of world.mqttDoors) {
    world.replace(rules);
    const peer = await enter(door, 'talker');
    assert.equal(await peer.publish('up/talker/a', '1'), true);
    assert.equal(await peer.publish('up/talker/a', '2'), true);
    world.replace(withoutUp);
    assert.equal(await peer.publish('up/talker/a', '3'), false, door.name);
    await peer.cut();
  }
});

test('a topic alias stands for its topic and not for a right', async () => {
  const peer = await enter(world.doors[1] as Door, 'alias');
  const alias = (topicAlias: number, topic: string) =>
    peer.send({ topic, payload: 'x', qos: 1, properties: { topicAlias } });
  assert.equal(await alias(1, 'up/alias/a'), true);
  assert.equal(await alias(2, 'up/other/a'), false);
  // It was set all the same, and is refused by what it stands for.
  assert.equal(await alias(2, ''), false);
  assert.equal(await alias(1, 'up/other/b'), false);
  assert.equal(await alias(1, ''), false);
  assert.equal(await alias(1, 'up/alias/c'), true);
  world.replace(withoutUp);
  assert.equal(await alias(1, ''), false);
  await auditor.settled();
  assert.deepEqual(auditor.received, ['up/alias/a', 'up/alias/c']);
});

test('foreign topics between allowed ones are refused one by one', async () => {
  const peer = await enter(world.doors[1] as Door, 'batch');
  const topics = ['up/batch/1', 'up/other/1', 'up/batch/1', 'up/batch/1', 'down/batch/1', 'chat/a'];
  const answers = topics.map((topic) => peer.publish(topic, 'x'));
  await Promise.all(answers);
  await auditor.settled();
  assert.deepEqual(auditor.received, ['up/batch/1', 'up/batch/1', 'up/batch/1', 'chat/a']);
  const gateway = await TestGateway.attach(world.front, 'gateway-2');
  await gateway.open('batch');
  const publications = topics.map((topic) => row(topic, 'x'));
  gateway.send('publish', { clientId: 'batch', requestId: 1, publications });
  const { refusals } = await gateway.expect('published');
  const no = 'not-authorized';
  assert.deepEqual(refusals, ['', no, '', '', no, '']);
  await gateway.end();
});

test('a client identifier brings nothing of the session that another user had under it', async () => {
  for (const door of world.mqttDoors) {
    const owner = await enter(door, 'shared-id', 'auditor:auditor', false);
    await owner.subscribe('#', 1);
    await owner.cut();
    await auditor.publish('secret', 'for the owner');
    const other = await enter(door, 'shared-id', 'user', false);
    await auditor.publish('secret', 'for the owner');
    await other.settled();
    assert.deepEqual(other.received, [], door.name);
    await other.cut();
  }
});

test('a session is held against the roles with which its client is back', async () => {
  for (const door of world.mqttDoors) {
    const before = await enter(door, 'demoted', 'same:auditor', false);
    await before.subscribe('#', 1);
    await before.cut();
    await auditor.publish('secret', 'x');
    const again = await enter(door, 'demoted', 'same:device', false);
    await auditor.publish('secret', 'y');
    await again.settled();
    assert.deepEqual(again.received, [], door.name);
    await again.cut();
    await (await enter(door, 'demoted', 'same:device')).cut();
  }
});

test('nothing counts before CONNACK, and no second CONNECT changes who it is', async () => {
  for (const version of [4, 5] as const) {
    const open = () => new MqttPeer(connect(world.edge.port, '127.0.0.1'), version);
    const wrong = open();
    const refused = wrong.connectBytes('auditor-2', { user: 'auditor:auditor' });
    const password = refused.lastIndexOf('right');
    refused.write('wrong', password);
    const bytes = wrong.packetBytes({ cmd: 'publish', topic: 'chat/early', qos: 0, payload: 'x' });
    wrong.stream.write(Buffer.concat([refused, bytes]));
    await wrong.cut();
    const first = open();
    first.stream.write(bytes);
    assert.equal(await first.answer('connack'), null);
    const twice = open();
    assert.equal(await twice.connect('twice', { user: 'user' }), true);
    twice.stream.write(twice.connectBytes('auditor-3', { user: 'auditor:auditor' }));
    twice.stream.write(bytes);
    assert.equal(await twice.answer('pingresp'), null);
  }
  await auditor.settled();
  assert.deepEqual(auditor.received, []);
});

test('a gateway and its devices lose what is taken back: deliveries, subscriptions and wills', async () => {
  const { front } = world;
  const gateway = await TestGateway.attach(front, 'gateway-3');
  await gateway.open('behind', row('up/behind/will', 'x'));
  await gateway.subscribe('behind', 'news/#');
  await gateway.subscribe('behind', 'down/behind/#');
  const before = front.fanout.published.length;
  world.replace(rules.filter(({ name }) => name !== 'news' && name !== 'own-up'));
  await front.fanout.publish([
    { ...publication('news/a'), qos: 1 },
    { ...publication('down/behind/a'), qos: 1 },
  ]);
  const { publications } = await gateway.expect('delivery');
  assert.deepEqual(
    publications.map(({ topic }) => topic),
    ['down/behind/a'],
  );
  await gateway.end();
  await until(() => front.fanout.targets.size === 0);
  const topics = front.fanout.published.slice(before).map(({ topic }) => topic);
  assert.deepEqual(topics, ['news/a', 'down/behind/a']);
});

test('what gateways do in their own name needs rules for it', async () => {
  const { front } = world;
  const publish = (topic: string) =>
    new Promise<number>((resolve) => {
      front.gateways.publish({ publication: row(topic, 'x') }, (error) =>
        resolve(error?.code ?? 0),
      );
    });
  assert.equal(await publish('up/anyone/x'), 7);
  assert.equal(await publish('up//x'), 7);
  assert.equal(await publish('chat/x'), 0);
  const stream = front.gateways.subscribe({ subscriptions: [{ filter: '#', qos: 0 }] });
  const denied = await new Promise<number>((resolve) => {
    stream.on('error', (error: Error & { code: number }) => resolve(error.code));
    stream.on('data', () => {});
  });
  assert.equal(denied, 7);
  const allowed = front.gateways.subscribe({ subscriptions: [{ filter: 'news/#', qos: 0 }] });
  const ended = new Promise<number>((resolve) => {
    allowed.on('error', (error: Error & { code: number }) => resolve(error.code));
    allowed.on('data', () => {});
  });
  await until(() => front.fanout.targets.size > 0);
  world.replace(withoutNews);
  assert.equal(await ended, 7);
});

test('rights that are gone are gone for sessions and wills of before a restart, too', async () => {
  const other = await RightsWorld.open(rules);
  try {
    const door = other.mqttDoors[1] as Door;
    const will = { topic: 'up/kept/will', qos: 1, delaySeconds: 300 } as const;
    const peer = (await door.open('kept', { user: 'user', clean: false, will })) as MqttPeer;
    await peer.subscribe('news/#', 1);
    await peer.cut();
    const writer = (await door.open('w', { user: 'w:auditor' })) as MqttPeer;
    await writer.publish('news/a', 'queued');
    await other.restart(
      settingsOf(rules.filter(({ name }) => name !== 'news' && name !== 'own-up')),
    );
    const watcher = (await other.mqttDoors[1]?.open('w', { user: 'w:auditor' })) as MqttPeer;
    await watcher.subscribe('#', 1);
    const again = (await other.mqttDoors[1]?.open('kept', { user: 'x', clean: false })) as MqttPeer;
    await again.settled();
    assert.deepEqual(again.received, []);
    await again.cut();
    const same = (await other.mqttDoors[1]?.open('kept', {
      user: 'user',
      clean: false,
    })) as MqttPeer;
    await same.settled();
    await watcher.settled();
    assert.deepEqual([...same.received, ...watcher.received], []);
  } finally {
    await other.close();
  }
});

function publication(topic: string) {
  const payload = Buffer.from('x');
  return {
    topic,
    payload,
    qos: 0,
    retain: false,
    properties: null,
    acceptedAt: 0,
    origin: '',
  } as const;
}
