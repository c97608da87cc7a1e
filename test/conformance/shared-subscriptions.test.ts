/** Shared subscriptions: each message of a group goes to one of its members. MQTT 5 section 4.8.2. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { IClientOptions } from 'mqtt';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import { RawClient, subscribePacket } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

let edge: LocalBroker;
let clients: TestClient[];
let raws: RawClient[];

beforeEach(async () => {
  edge = await openLocalBroker();
  clients = [];
  raws = [];
});

afterEach(async () => {
  for (const raw of raws) raw.destroy();
  await Promise.all(clients.map((one) => one.mqtt.endAsync(true)));
  await edge.discard();
});

async function reopen(settings: Record<string, Record<string, unknown>>): Promise<void> {
  await edge.discard();
  edge = await openLocalBroker(settings);
}

async function connect(clientId: string, options: IClientOptions = {}): Promise<TestClient> {
  const client = await TestClient.connect(edge.url, { clientId, ...options });
  clients.push(client);
  return client;
}

async function member(
  clientId: string,
  qos: 0 | 1 | 2 = 1,
  options: IClientOptions = {},
): Promise<TestClient> {
  const client = await connect(clientId, options);
  await client.subscribe('$share/g/t/#', qos);
  return client;
}

const kept = { clean: false } as const;

async function away(clientId: string, qos: 1 | 2 = 1): Promise<void> {
  await (await member(clientId, qos, kept)).end();
}

async function rawMember(clientId: string, qos: number, clean = true): Promise<RawClient> {
  const raw = await RawClient.session(edge.port, clientId, clean);
  raws.push(raw);
  raw.send(subscribePacket(1, '$share/g/t/#', qos));
  await raw.nextOf(9);
  return raw;
}

async function publish(from: TestClient, count: number, qos: 0 | 1 | 2 = 1): Promise<string[]> {
  const texts = Array.from({ length: count }, (_, i) => `${i}`);
  await Promise.all(texts.map((text) => from.publish('t/x', text, { qos })));
  return texts;
}

function sorted(lists: readonly TestClient[]): string[] {
  return lists.flatMap((one) => one.texts).toSorted((a, b) => Number(a) - Number(b));
}

async function all(members: readonly TestClient[], count: number): Promise<void> {
  const sum = () => members.reduce((total, one) => total + one.received.length, 0);
  await until(() => sum() >= count, `${count} messages`);
}

for (const qos of [0, 1, 2] as const) {
  test(`at QoS ${qos} each message goes to one member, in turn`, async () => {
    const members = [await member('a', qos), await member('b', qos), await member('c', qos)];
    const texts = await publish(await connect('p'), 30, qos);
    await all(members, 30);
    for (const one of members) await one.roundTrip();
    assert.deepEqual(sorted(members), texts);
    assert.deepEqual(
      members.map((one) => one.received.length),
      [10, 10, 10],
    );
  });
}

test('members of either protocol version share', async () => {
  const members = [await member('a'), await member('b', 1, { protocolVersion: 5 })];
  const texts = await publish(await connect('p', { protocolVersion: 5 }), 20);
  await all(members, 20);
  assert.deepEqual(sorted(members), texts);
  assert.deepEqual(
    members.map((one) => one.received.length),
    [10, 10],
  );
});

test('each group gets its own copy, and so does a plain subscription of a member', async () => {
  const one = await member('a');
  await one.subscribe('$share/h/t/+', 1);
  await one.subscribe('t/x', 1);
  await (await connect('p')).publish('t/x', 'm', { qos: 1 });
  await one.expect(3);
  await one.roundTrip();
  assert.deepEqual(one.texts, ['m', 'm', 'm']);
});

test('a shared subscription gets no retained messages', async () => {
  const publisher = await connect('p');
  await publisher.publish('t/x', 'kept', { qos: 1, retain: true });
  const one = await member('a');
  await one.roundTrip();
  assert.deepEqual(one.texts, []);
});

test('a filter that shares nothing is refused', async () => {
  const raw = await RawClient.session(edge.port, 'a');
  raws.push(raw);
  for (const filter of ['$share/g', '$share/g/', '$share//t', '$share/+/t', '$share/g/t#']) {
    raw.send(subscribePacket(1, filter, 1));
    const suback = await raw.nextOf(9).catch(() => null);
    if (suback === null) return;
    assert.equal(suback.body[2], 0x80, filter);
  }
});

test('a member that leaves gets no more, and the last one leaves nothing behind', async () => {
  const [a, b] = [await member('a'), await member('b')];
  await a.mqtt.unsubscribeAsync('$share/g/t/#');
  const publisher = await connect('p');
  await publish(publisher, 4);
  await b.expect(4);
  await b.mqtt.unsubscribeAsync('$share/g/t/#');
  const before = edge.ledger.unclaimed.value;
  await publish(publisher, 3);
  assert.equal(edge.ledger.unclaimed.value, before + 3);
  assert.deepEqual([a.received.length, b.received.length], [0, 4]);
});

test('a member that is away is left out while another is connected', async () => {
  await away('a');
  const b = await member('b');
  const texts = await publish(await connect('p'), 10);
  await b.expect(10);
  assert.deepEqual(b.texts, texts);
});

test('while all are away kept members get it in turn, and who returns first gets all', async () => {
  await away('a');
  await away('b');
  const texts = await publish(await connect('p'), 10);
  const waiting = new Map(
    [...edge.broker.localDelivery.sessions()].map((one) => [one.clientId, one.queueMessages]),
  );
  assert.deepEqual([waiting.get('a'), waiting.get('b')], [5, 5]);
  const a = await connect('a', kept);
  await a.expect(10);
  const b = await connect('b', kept);
  await b.roundTrip();
  assert.deepEqual(sorted([a]), texts);
  assert.deepEqual(b.texts, []);
});

test('more than one member takes at a time waits for those that are away, and follows', async () => {
  await away('a');
  await away('b');
  const texts = await publish(await connect('p'), 1_000);
  const a = await connect('a', kept);
  await a.expect(1_000);
  assert.deepEqual(sorted([a]), texts);
});

test('a member that does not read is left out while another keeps up', async () => {
  const frozen = await rawMember('frozen', 1);
  const b = await member('b');
  // Its window is full after 64, and its queue crowded after as many again.
  const texts = await publish(await connect('p'), 1_000);
  await until(() => b.received.length >= 1_000 - 130, 'most messages');
  await b.roundTrip();
  assert.ok(b.received.length <= 1_000 - 64);
  // Its connection ends, and its session with it: the other gets the rest.
  frozen.destroy();
  await b.expect(1_000);
  assert.deepEqual(sorted([b]), texts);
});

test('with "sticky" a publisher keeps its member until that is gone', async () => {
  await reopen({ mqtt: { port: 0, shared_strategy: 'sticky' } });
  const members = [await member('a'), await member('b'), await member('c')];
  const chosen = new Set<number>();
  for (let i = 0; i < 12; i++) {
    const publisher = await connect(`publisher-${i}`);
    await publish(publisher, 4);
    await all(members, 4);
    const counts = members.map((one) => one.received.length);
    chosen.add(counts.indexOf(4));
    assert.deepEqual(counts.toSorted(), [0, 0, 4]);
    for (const one of members) one.received.length = 0;
  }
  assert.ok(chosen.size > 1, 'not all publishers have the same member');
});

test('with "least-loaded" who has not acknowledged gets less', async () => {
  await reopen({ mqtt: { port: 0, shared_strategy: 'least-loaded' } });
  await rawMember('silent', 1);
  const b = await member('b');
  const publisher = await connect('p');
  for (let i = 0; i < 20; i++) await publisher.publish('t/x', `${i}`, { qos: 1 });
  await b.expect(19);
  await b.roundTrip();
  assert.ok(b.received.length >= 19);
});
