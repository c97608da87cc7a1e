/** The edge alone, stopped and started on the same data: what sessions find when they return. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, beforeEach, test } from 'node:test';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import {
  ackPacket,
  packetIdOf,
  payloadOf,
  publishPacket,
  RawClient,
  subscribePacket,
} from '../support/raw-client.ts';
import { until } from '../support/until.ts';

let edge: LocalBroker;
const opened: LocalBroker[] = [];

beforeEach(async () => {
  edge = await openLocalBroker();
  opened.push(edge);
});

after(async () => {
  for (const one of opened) {
    await one.close();
    await rm(one.data, { recursive: true, force: true });
  }
});

async function restart(): Promise<void> {
  await edge.close();
  edge = await openLocalBroker({}, edge.data);
  opened.push(edge);
}

test('queued messages, subscriptions and the session survive a start', async () => {
  const away = await TestClient.connect(edge.url, { clientId: 'away', clean: false });
  await away.subscribe('q/#', 1);
  await away.end();
  const sender = await TestClient.connect(edge.url);
  const sent = Array.from({ length: 300 }, (_, i) => `${i}`);
  for (const text of sent) await sender.publish(`q/${Number(text) % 5}`, text, { qos: 1 });
  await sender.end();
  await restart();
  const back = await TestClient.connect(edge.url, { clientId: 'away', clean: false });
  assert.equal(back.sessionPresent, true);
  await back.expect(300);
  await back.roundTrip();
  assert.deepEqual(back.texts, sent);
  await back.end();
});

test('what was delivered before a start is not delivered again after it', async () => {
  const first = await TestClient.connect(edge.url, { clientId: 'c', clean: false });
  await first.subscribe('d/#', 2);
  const sender = await TestClient.connect(edge.url);
  for (let i = 0; i < 50; i++) await sender.publish('d/x', `old ${i}`, { qos: 2 });
  await first.expect(50);
  await first.roundTrip();
  await first.end();
  await sender.publish('d/x', 'new', { qos: 2 });
  await sender.end();
  await restart();
  const back = await TestClient.connect(edge.url, { clientId: 'c', clean: false });
  await back.expect(1);
  await back.roundTrip();
  assert.deepEqual(back.texts, ['new']);
  await back.end();
});

test('retained messages and their deletion survive a start', async () => {
  const sender = await TestClient.connect(edge.url);
  await sender.publish('r/kept', 'yes', { qos: 1, retain: true });
  await sender.publish('r/zero', 'also', { qos: 0, retain: true });
  await sender.publish('r/gone', 'no', { qos: 1, retain: true });
  await sender.publish('r/gone', '', { qos: 1, retain: true });
  await sender.end();
  await restart();
  const late = await TestClient.connect(edge.url);
  await late.subscribe('r/#', 1);
  await late.expect(2);
  await late.roundTrip();
  assert.deepEqual(late.received.map((item) => `${item.topic} ${item.text}`).sort(), [
    'r/kept yes',
    'r/zero also',
  ]);
  await late.end();
});

test('a packet identifier of QoS 2 that was not released is recognised after a start', async () => {
  const watcher = await TestClient.connect(edge.url, { clientId: 'w', clean: false });
  await watcher.subscribe('two', 2);
  const raw = await RawClient.session(edge.port, 'sender', false);
  raw.send(publishPacket('two', 'once', { qos: 2, packetId: 9 }));
  assert.equal(packetIdOf(await raw.nextOf(5)), 9);
  await watcher.expect(1);
  await watcher.end();
  raw.destroy();
  await restart();
  const again = await TestClient.connect(edge.url, { clientId: 'w', clean: false });
  const resumed = await RawClient.session(edge.port, 'sender', false);
  resumed.send(publishPacket('two', 'once', { qos: 2, packetId: 9, dup: true }));
  assert.equal(packetIdOf(await resumed.nextOf(5)), 9);
  resumed.send(ackPacket(6, 9));
  await resumed.nextOf(7);
  // Released: the same identifier now carries another message.
  resumed.send(publishPacket('two', 'other', { qos: 2, packetId: 9 }));
  await resumed.nextOf(5);
  await again.expect(1);
  await again.roundTrip();
  assert.deepEqual(again.texts, ['other']);
  resumed.destroy();
  await again.end();
});

test('a QoS 2 delivery half-way goes on after a start with the same identifier', async () => {
  const raw = await RawClient.session(edge.port, 'half', false);
  raw.send(subscribePacket(1, 'h', 2));
  await raw.nextOf(9);
  const sender = await TestClient.connect(edge.url);
  await sender.publish('h', 'first', { qos: 2 });
  await sender.publish('h', 'second', { qos: 2 });
  const first = packetIdOf(await raw.nextOf(3));
  const second = packetIdOf(await raw.nextOf(3));
  raw.send(ackPacket(5, first));
  assert.equal(packetIdOf(await raw.nextOf(6)), first);
  raw.destroy();
  await sender.end();
  await restart();
  const back = await RawClient.session(edge.port, 'half', false);
  const release = await back.next();
  assert.deepEqual([release.type, packetIdOf(release)], [6, first]);
  const resent = await back.next();
  assert.deepEqual([resent.type, packetIdOf(resent), payloadOf(resent)], [3, second, 'second']);
  assert.equal(resent.flags & 8, 8);
  back.destroy();
});

test('deliveries in flight are sent again in order with DUP when the client returns', async () => {
  const raw = await RawClient.session(edge.port, 'dup', false);
  raw.send(subscribePacket(1, 'f', 1));
  await raw.nextOf(9);
  const sender = await TestClient.connect(edge.url);
  for (let i = 0; i < 5; i++) await sender.publish('f', `${i}`, { qos: 1 });
  const ids: number[] = [];
  for (let i = 0; i < 5; i++) ids.push(packetIdOf(await raw.nextOf(3)));
  raw.send(ackPacket(4, ids[1] as number));
  raw.destroy();
  await raw.closed;
  const back = await RawClient.session(edge.port, 'dup', false);
  const seen: string[] = [];
  for (let i = 0; i < 4; i++) {
    const one = await back.nextOf(3);
    assert.equal(one.flags & 8, 8);
    seen.push(payloadOf(one));
  }
  assert.deepEqual(seen, ['0', '2', '3', '4']);
  back.destroy();
  await sender.end();
});

test('a subscription does not receive what was published before it, also after a start', async () => {
  const sender = await TestClient.connect(edge.url);
  await sender.publish('s', 'before', { qos: 1 });
  const late = await TestClient.connect(edge.url, { clientId: 'late', clean: false });
  await late.subscribe('s', 1);
  await late.end();
  await sender.publish('s', 'after', { qos: 1 });
  await sender.end();
  await restart();
  const back = await TestClient.connect(edge.url, { clientId: 'late', clean: false });
  await back.expect(1);
  await back.roundTrip();
  assert.deepEqual(back.texts, ['after']);
  await back.end();
});

test('a message for a session that stays away does not keep the log of its time', async () => {
  const away = await TestClient.connect(edge.url, { clientId: 'long', clean: false });
  await away.subscribe('p/#', 2);
  await away.end();
  const sender = await TestClient.connect(edge.url);
  await sender.publish('p/a', 'one', { qos: 1 });
  await sender.publish('p/a', 'two', { qos: 2 });
  const bulk = 'x'.repeat(900_000);
  for (let i = 0; i < 80; i++) await sender.publish('bulk', bulk, { qos: 1 });
  for (let lane = 0; lane < 4; lane++)
    edge.spool.uplink.acknowledge(lane, edge.spool.uplink.newestOf(lane));
  await until(() => edge.spool.uplink.bytes < 30_000_000, 'the old segment is freed');
  await sender.publish('p/a', 'three', { qos: 1 });
  await sender.end();
  await restart();
  const back = await TestClient.connect(edge.url, { clientId: 'long', clean: false });
  await back.expect(3);
  await back.roundTrip();
  assert.deepEqual(back.texts.toSorted(), ['one', 'three', 'two']);
  await back.end();
  await until(
    () => /trunkline_parked_messages 0/.test(edge.metrics.text()),
    'what was delivered is not parked any more',
  );
});
