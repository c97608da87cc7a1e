/**
 * Shared subscriptions when members, or the edge, come and go: what was acknowledged to its publisher
 * reaches a member, and at QoS 2 only one. MQTT 5 section 4.8.2.
 */
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { IClientOptions } from 'mqtt';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import {
  ackPacket,
  packetIdOf,
  payloadOf,
  RawClient,
  subscribePacket,
} from '../support/raw-client.ts';
import { until } from '../support/until.ts';

const shared = '$share/g/t/#';
const kept = { clean: false } as const;

let edge: LocalBroker;
let opened: LocalBroker[];
let clients: TestClient[];
let raws: RawClient[];

beforeEach(async () => {
  edge = await openLocalBroker();
  opened = [edge];
  clients = [];
  raws = [];
});

afterEach(async () => {
  for (const raw of raws) raw.destroy();
  await Promise.all(clients.map((one) => one.mqtt.endAsync(true)));
  for (const one of opened) {
    await one.close();
    await rm(one.data, { recursive: true, force: true });
  }
});

async function connect(clientId: string, options: IClientOptions = {}): Promise<TestClient> {
  const client = await TestClient.connect(edge.url, { clientId, ...options });
  clients.push(client);
  return client;
}

async function away(clientId: string, qos: 1 | 2): Promise<void> {
  const client = await connect(clientId, kept);
  await client.subscribe(shared, qos);
  await client.end();
}

async function rawSession(clientId: string, clean: boolean): Promise<RawClient> {
  const raw = await RawClient.session(edge.port, clientId, clean);
  raws.push(raw);
  return raw;
}

async function rawMember(clientId: string, qos: 1 | 2, clean: boolean): Promise<RawClient> {
  const raw = await rawSession(clientId, clean);
  raw.send(subscribePacket(1, shared, qos));
  await raw.nextOf(9);
  return raw;
}

async function publish(count: number, qos: 1 | 2): Promise<string[]> {
  const publisher = await connect('publisher');
  const texts = Array.from({ length: count }, (_, i) => `${i}`);
  await Promise.all(texts.map((text) => publisher.publish('t/x', text, { qos })));
  await publisher.end();
  return texts;
}

/** The process is killed now, and started on what is on disk. */
async function crash(): Promise<void> {
  const copy = await mkdtemp(join(tmpdir(), 'trunkline-shared-'));
  await cp(edge.data, copy, { recursive: true });
  for (const raw of raws) raw.destroy();
  edge = await openLocalBroker({}, copy);
  opened.push(edge);
}

function sorted(texts: readonly string[]): string[] {
  return texts.toSorted((a, b) => Number(a) - Number(b));
}

function settled(): Promise<void> {
  const isSettled = () =>
    [...edge.broker.localDelivery.sessions()].every(
      (one) => one.queueMessages + one.inflightMessages === 0,
    );
  return until(isSettled, 'nothing waits');
}

test('QoS 1 that an ended session had not acknowledged goes to another member', async () => {
  const silent = await rawMember('silent', 1, true);
  await publish(3, 1);
  for (let i = 0; i < 3; i++) await silent.nextOf(3);
  await away('other', 1);
  silent.destroy();
  await until(() => edge.heard.includes('removed silent'), 'the session has ended');
  const other = await connect('other', kept);
  await other.expect(3);
  assert.deepEqual(sorted(other.texts), ['0', '1', '2']);
});

test('QoS 2 that was under way to a session that ended goes to nobody else', async () => {
  const silent = await rawMember('silent', 2, true);
  await publish(2, 2);
  for (let i = 0; i < 2; i++) await silent.nextOf(3);
  const other = await connect('other', kept);
  await other.subscribe(shared, 2);
  silent.destroy();
  await until(() => edge.heard.includes('removed silent'), 'the session has ended');
  await other.roundTrip();
  assert.deepEqual(other.texts, []);
  assert.match(edge.metrics.text(), /trunkline_dropped_total\{reason="session-ended"\} 2/);
});

test('what waited for a session that was discarded goes to another member', async () => {
  await away('a', 2);
  const texts = await publish(20, 2);
  await away('b', 2);
  // A clean session in its place ends the kept one.
  await connect('a');
  const b = await connect('b', kept);
  await b.expect(20);
  await b.roundTrip();
  assert.deepEqual(sorted(b.texts), texts);
});

test('a member that loses its connection leaves what it was not sent to the others', async () => {
  const silent = await rawMember('silent', 1, false);
  const texts = await publish(200, 1);
  // The window of 64 is with the silent one, which may return for it.
  const other = await connect('other');
  await other.subscribe(shared, 1);
  silent.destroy();
  await other.expect(136);
  const back = await connect('silent', kept);
  await back.expect(64);
  await settled();
  assert.deepEqual(sorted([...other.texts, ...back.texts]), texts);
});

for (const qos of [1, 2] as const) {
  test(`after a crash a group of kept members has all of QoS ${qos} that was acknowledged`, async () => {
    await away('a', qos);
    await away('b', qos);
    const texts = await publish(50, qos);
    await crash();
    const a = await connect('a', kept);
    const b = await connect('b', kept);
    await until(() => a.received.length + b.received.length >= 50, 'all of them');
    await settled();
    assert.deepEqual(sorted([...a.texts, ...b.texts]), texts);
  });

  test(`what a group has had at QoS ${qos} does not come again after a crash`, async () => {
    const a = await connect('a', kept);
    const b = await connect('b', kept);
    for (const one of [a, b]) await one.subscribe(shared, qos);
    await publish(50, qos);
    await until(() => a.received.length + b.received.length >= 50, 'all of them');
    await settled();
    // What nobody waits for is written within this time.
    await new Promise((resolve) => setTimeout(resolve, 500));
    await crash();
    await settled();
    for (const clientId of ['a', 'b']) {
      const back = await connect(clientId, kept);
      await back.roundTrip();
      assert.deepEqual(back.texts, []);
    }
  });
}

test('QoS 2 under way at a crash is completed with the member that has it', async () => {
  const a = await rawMember('a', 2, false);
  await publish(3, 2);
  const ids = [];
  for (let i = 0; i < 3; i++) ids.push(packetIdOf(await a.nextOf(3)));
  a.send(ackPacket(5, ids[0] as number));
  await a.nextOf(6);
  await away('b', 2);
  await crash();
  const b = await connect('b', kept);
  await b.roundTrip();
  assert.deepEqual(b.texts, []);
  const back = await rawSession('a', false);
  assert.equal(packetIdOf(await back.nextOf(6)), ids[0]);
  const again = [await back.nextOf(3), await back.nextOf(3)];
  assert.deepEqual(again.map(payloadOf), ['1', '2']);
  assert.ok(again.every((one) => (one.flags & 8) !== 0));
  assert.deepEqual(again.map(packetIdOf), ids.slice(1));
  back.send(ackPacket(7, ids[0] as number));
  for (const one of again) back.send(ackPacket(5, packetIdOf(one)));
  for (let i = 0; i < 2; i++) back.send(ackPacket(7, packetIdOf(await back.nextOf(6))));
  await settled();
  await b.roundTrip();
  assert.deepEqual(b.texts, []);
});

test('QoS 2 that left for a member without a kept session is not doubled by a crash', async () => {
  await away('b', 2);
  const passing = await rawMember('passing', 2, true);
  await publish(2, 2);
  for (let i = 0; i < 2; i++) await passing.nextOf(3);
  await crash();
  const b = await connect('b', kept);
  await b.roundTrip();
  assert.deepEqual(b.texts, []);
});

test('QoS 1 that left for a member without a kept session is not lost by a crash', async () => {
  await away('b', 1);
  const passing = await rawMember('passing', 1, true);
  await publish(2, 1);
  for (let i = 0; i < 2; i++) await passing.nextOf(3);
  await crash();
  const b = await connect('b', kept);
  await b.expect(2);
  assert.deepEqual(sorted(b.texts), ['0', '1']);
});

test('a member that has a plain subscription too gets both copies after a crash', async () => {
  const a = await connect('a', kept);
  await a.subscribe([shared, 't/x'], 1);
  await a.end();
  await publish(5, 1);
  await crash();
  const back = await connect('a', kept);
  await back.expect(10);
  await settled();
  assert.deepEqual(sorted(back.texts), ['0', '0', '1', '1', '2', '2', '3', '3', '4', '4']);
});

test('a group that nobody is in any more is forgotten, also by a later start', async () => {
  const a = await connect('a', kept);
  await a.subscribe(shared, 1);
  await a.mqtt.unsubscribeAsync(shared);
  await publish(5, 1);
  await crash();
  const back = await connect('a', kept);
  await back.subscribe(shared, 1);
  await back.roundTrip();
  assert.deepEqual(back.texts, []);
});

test('what a group is owed by members that stay away does not keep the log of its time', async () => {
  await away('a', 2);
  await away('b', 1);
  const texts = await publish(4, 2);
  const sender = await connect('sender');
  const bulk = 'x'.repeat(900_000);
  for (let i = 0; i < 80; i++) await sender.publish('bulk', bulk, { qos: 1 });
  const { uplink } = edge.spool;
  for (let lane = 0; lane < 4; lane++) uplink.acknowledge(lane, uplink.newestOf(lane));
  await until(() => uplink.bytes < 30_000_000, 'the old segment is freed');
  await crash();
  const back = await connect('b', kept);
  await back.expect(4);
  await settled();
  assert.deepEqual(sorted(back.texts), texts);
  await until(
    () => /trunkline_parked_messages 0/.test(edge.metrics.text()),
    'what was delivered is not parked any more',
  );
});
