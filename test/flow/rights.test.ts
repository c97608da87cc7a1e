/**
 * Attempts to get around the rights, each at every door: what is not allowed has no effect, and what
 * is allowed works. A row says what is tried and whether it is allowed.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Door, type Peer, RightsWorld, type RuleOf } from '../support/rights-doors.ts';

const denied = ['device', 'gateway-device'];

const rules: readonly RuleOf[] = [
  { name: 'own-up', action: 'publish', filter: 'up/{client}/#', qos: 1 },
  { name: 'own-down', action: 'subscribe', filter: 'down/{client}/#' },
  { name: 'by-user', action: 'publish', filter: 'user/{username}/#' },
  { name: 'by-tenant', action: 'publish', filter: 'tenant/{tenant}/#' },
  { name: 'by-label', action: 'subscribe', filter: 'site/{label.site}/#' },
  { name: 'open-out', action: 'publish', filter: 'open/#', retain: true },
  { name: 'open-in', action: 'subscribe', filter: 'open/#' },
  { name: 'no-secret', effect: 'deny', action: 'publish', filter: 'open/secret/#', roles: denied },
  {
    name: 'no-secrets',
    effect: 'deny',
    action: 'subscribe',
    filter: 'open/secret/#',
    roles: denied,
  },
  { name: 'last-words', action: 'publish', filter: 'wills/{client}', will: true },
  { name: 'firmware', action: 'subscribe', filter: 'firmware/+', qos: 1 },
  { name: 'anything', action: 'subscribe', filter: '#', roles: ['auditor'] },
  { name: 'any-out', action: 'publish', filter: '#', roles: ['auditor'], retain: true },
];

interface Attempt {
  readonly as?: string;
  readonly topic: string;
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
  /** By whom it is allowed: everybody, those with a user, or nobody. */
  readonly allowed: 'all' | 'users' | 'none';
}

const publications: readonly Attempt[] = [
  { topic: 'up/meter-1/t', allowed: 'all' },
  { topic: 'up/meter-1', allowed: 'all' },
  { topic: 'up/meter-1/a/b/c/d', qos: 0, allowed: 'all' },
  { topic: 'up/meter-1/../meter-2/t', allowed: 'all' },
  { topic: 'up/meter-1/t', qos: 2, allowed: 'none' },
  { topic: 'up/meter-1/t', retain: true, allowed: 'none' },
  { topic: 'up/meter-1/t', qos: 0, retain: true, allowed: 'none' },
  { topic: 'up/meter-2/t', allowed: 'none' },
  { topic: 'up/meter-2/t', qos: 0, allowed: 'none' },
  { topic: 'up/meter-2/t', qos: 2, allowed: 'none' },
  { topic: 'up', allowed: 'none' },
  { topic: 'up/', allowed: 'none' },
  { topic: 'up//t', allowed: 'none' },
  { topic: '/up/meter-1/t', allowed: 'none' },
  { topic: 'UP/meter-1/t', allowed: 'none' },
  { topic: 'up/Meter-1/t', allowed: 'none' },
  { topic: 'up/meter-1 /t', allowed: 'none' },
  { topic: 'up/meter-\u0661/t', allowed: 'none' },
  { topic: 'up/meter-1\u200b/t', allowed: 'none' },
  { topic: 'up/{client}/t', allowed: 'none' },
  { topic: 'up/constructor/t', allowed: 'none' },
  { topic: '$SYS/broker', allowed: 'none' },
  { topic: '$share/g/open/a', allowed: 'none' },
  { topic: '$queue/open/a', allowed: 'none' },
  { topic: 'open/a', allowed: 'all' },
  { topic: 'open/a', retain: true, qos: 2, allowed: 'all' },
  { topic: 'open/secret', allowed: 'none' },
  { topic: 'open/secret/deep/er', qos: 0, allowed: 'none' },
  { topic: 'open/secrets', allowed: 'all' },
  { topic: 'open//secret', allowed: 'all' },
  { topic: 'user/meter-1/x', allowed: 'users' },
  { topic: 'user//x', allowed: 'none' },
  { topic: 'tenant/acme/x', allowed: 'users' },
  { topic: 'tenant//x', allowed: 'none' },
  { topic: 'tenant/other/x', allowed: 'none' },
  { as: '+', topic: 'up/meter-1/t', allowed: 'none' },
  { as: '#', topic: 'up/meter-1/t', allowed: 'none' },
  { as: 'meter-1/a', topic: 'up/meter-1/a', allowed: 'none' },
  { as: '{client}', topic: 'up/meter-1/t', allowed: 'none' },
  { as: '__proto__', topic: 'up/__proto__/t', allowed: 'all' },
  { as: '__proto__', topic: 'up/meter-1/t', allowed: 'none' },
  { as: 'toString', topic: 'up/meter-1/t', allowed: 'none' },
];

const subscriptions: readonly (Attempt & { readonly granted?: 0 | 1 | 2 })[] = [
  { topic: 'down/meter-1/#', allowed: 'all' },
  { topic: 'down/meter-1/+', qos: 2, allowed: 'all' },
  { topic: 'down/meter-1', allowed: 'all' },
  { topic: '$share/g/down/meter-1/#', allowed: 'all' },
  { topic: '#', allowed: 'none' },
  { topic: '+/#', allowed: 'none' },
  { topic: '+', allowed: 'none' },
  { topic: '/#', allowed: 'none' },
  { topic: 'down/#', allowed: 'none' },
  { topic: 'down/+', allowed: 'none' },
  { topic: 'down/+/#', allowed: 'none' },
  { topic: '+/meter-1/#', allowed: 'none' },
  { topic: 'down/meter-2/#', allowed: 'none' },
  { topic: 'down/meter-2/x', qos: 2, allowed: 'none' },
  { topic: '$share/g/#', allowed: 'none' },
  { topic: '$share/g/down/+/x', allowed: 'none' },
  { topic: '$share/g/$share/h/#', allowed: 'none' },
  { topic: '$share/down/meter-1/#', allowed: 'none' },
  { topic: '$queue/#', allowed: 'none' },
  { topic: '$queue/down/meter-1/x', allowed: 'none' },
  { topic: '$exclusive/down/meter-1/x', allowed: 'none' },
  { topic: '$SYS/#', allowed: 'none' },
  { topic: '$SYS/broker/clients', allowed: 'none' },
  { topic: 'open/#', allowed: 'none' },
  { topic: 'open/+', allowed: 'none' },
  { topic: 'open/+/x', allowed: 'none' },
  { topic: 'open/secret', allowed: 'none' },
  { topic: 'open/secret/#', allowed: 'none' },
  { topic: '$share/g/open/+', allowed: 'none' },
  { topic: 'open/a/#', allowed: 'all' },
  { topic: 'firmware/+', qos: 2, granted: 1, allowed: 'all' },
  { topic: 'firmware/v1', qos: 1, granted: 1, allowed: 'all' },
  { topic: 'firmware/#', allowed: 'none' },
  { topic: 'site/north/#', allowed: 'users' },
  { topic: 'site/+/x', allowed: 'none' },
  { topic: 'site//#', allowed: 'none' },
  { as: '+', topic: 'down/+/x', allowed: 'none' },
  { as: '+', topic: 'down/meter-1/x', allowed: 'none' },
  { as: '#', topic: 'down/#', allowed: 'none' },
  { as: 'a/+', topic: 'down/a/+/x', allowed: 'none' },
  { as: '{client}', topic: 'down/meter-1/x', allowed: 'none' },
  { as: '__proto__', topic: 'down/constructor/x', allowed: 'none' },
];

const message = { payload: Buffer.from('x'), retain: false, properties: null, acceptedAt: 0 };

let world: RightsWorld;

before(async () => {
  world = await RightsWorld.open(rules);
});

after(() => world.close());

function isAllowed({ allowed }: Attempt, door: Door): boolean {
  return allowed === 'all' || (allowed === 'users' && door.name !== 'gateway');
}

/** Behind a gateway there are no users; elsewhere every client is one. */
async function enter(door: Door, clientId: string, user = 'meter-1'): Promise<Peer> {
  const peer = await door.open(clientId, { user });
  assert.ok(peer !== null, `${clientId} at ${door.name}`);
  return peer;
}

test('nothing is published that no rule allows, and all that one allows, at every door', async () => {
  const watcher = await enter(world.doors[1] as Door, 'watcher', 'watcher:auditor');
  assert.equal(await watcher.subscribe('#', 2), 2);
  for (const door of world.doors) {
    const expected: string[] = [];
    const published = world.front.fanout.published.length;
    watcher.received.length = 0;
    for (const attempt of publications) {
      const { as = 'meter-1', topic, qos = 1, retain = false } = attempt;
      const peer = await enter(door, as);
      const answer = await peer.publish(topic, 'x', { qos, retain });
      const what = `${as} to ${topic}, QoS ${qos}${retain ? ', retained' : ''} at ${door.name}`;
      if (answer !== null) assert.equal(answer, isAllowed(attempt, door), what);
      if (isAllowed(attempt, door)) expected.push(topic);
      await peer.cut();
    }
    await watcher.settled();
    const given =
      door.name === 'gateway'
        ? world.front.fanout.published.slice(published).map(({ topic }) => topic)
        : watcher.received;
    assert.deepEqual(given, expected, door.name);
  }
  await watcher.cut();
});

test('no subscription is granted that matches more than rules allow, at every door', async () => {
  const publisher = await enter(world.doors[1] as Door, 'publisher', 'publisher:auditor');
  const foreign = ['down/meter-2/x', 'open/secret', 'site/south/x', 'firmware/v1/x', 'other'];
  for (const door of world.doors) {
    for (const attempt of subscriptions) {
      const { as = 'meter-1', topic, qos = 0, granted = qos } = attempt;
      // Shared subscriptions are of MQTT alone.
      const isKnown = door.name !== 'gateway' || !topic.startsWith('$share/');
      const peer = await enter(door, as);
      const answer = await peer.subscribe(topic, qos);
      const expected = isAllowed(attempt, door) && isKnown ? granted : -1;
      assert.equal(answer, expected, `${as} to ${topic} at ${door.name}`);
      for (const one of foreign) await publisher.publish(one, 'x', { qos: 0 });
      await world.front.fanout.publish(
        foreign.map((one) => ({ ...message, topic: one, qos: 0, origin: '' })),
      );
      await peer.settled();
      const leaked = peer.received.filter((one) => foreign.includes(one));
      assert.deepEqual(leaked, [], `${as} with ${topic} at ${door.name}`);
      await peer.cut();
    }
  }
  await publisher.cut();
});

test('a will needs its own right, and the others of a publication, at every door', async () => {
  const wills = [
    { topic: 'wills/meter-1', allowed: true },
    { topic: 'wills/meter-1', qos: 2, allowed: true },
    { topic: 'wills/meter-1', retain: true, allowed: false },
    { topic: 'wills/meter-2', allowed: false },
    { topic: 'up/meter-1/t', allowed: false },
    { topic: 'open/a', allowed: false },
    { topic: 'open/secret', allowed: false },
    { topic: '$SYS/x', allowed: false },
    { topic: '$share/g/open/a', allowed: false },
  ] as const;
  const watcher = await enter(world.doors[0] as Door, 'watcher', 'watcher:auditor');
  await watcher.subscribe('#', 2);
  for (const door of world.doors) {
    watcher.received.length = 0;
    for (const { allowed, ...will } of wills) {
      const peer = await door.open('meter-1', { user: 'meter-1', will });
      assert.equal(peer !== null, allowed, `${JSON.stringify(will)} at ${door.name}`);
      await peer?.cut();
    }
    await watcher.settled();
    const mine = door.name === 'gateway' ? [] : ['wills/meter-1', 'wills/meter-1'];
    // The last client's connection may still be on its way out.
    while (watcher.received.length < mine.length) await watcher.settled();
    assert.deepEqual(watcher.received, mine, door.name);
  }
  await watcher.cut();
});

test('an anonymous client is no user and no device that a rule could name', async () => {
  for (const door of world.mqttDoors) {
    for (const clientId of ['meter-1', 'watcher']) {
      const peer = await door.open(clientId, {});
      assert.ok(peer !== null);
      assert.equal(await peer.subscribe('#'), -1, door.name);
      assert.equal(await peer.subscribe('site/north/x'), -1, door.name);
      assert.equal(await peer.publish('user/meter-1/x', 'x'), false, door.name);
      await peer.cut();
    }
  }
});
