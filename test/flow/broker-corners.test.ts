/** Where two things meet that each work by themselves: sessions, replays, expiry, memory, restarts. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { Client5 } from '../support/client-5.ts';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import { ackPacket, publishPacket, RawClient } from '../support/raw-client.ts';
import { slowDisk } from '../support/slow-disk.ts';
import { until } from '../support/until.ts';

let opened: LocalBroker[] = [];
let clients: Client5[] = [];

afterEach(async () => {
  slowDisk.restore();
  for (const client of clients) client.socket.destroy();
  for (const one of opened) await one.discard();
  opened = [];
  clients = [];
});

async function open(settings: Record<string, Record<string, unknown>> = {}, data?: string) {
  const edge = await openLocalBroker(settings, data);
  opened.push(edge);
  return edge;
}

/** Opens an edge on a copy of the data, as it is at this moment. */
async function startAfterCrash(edge: LocalBroker): Promise<LocalBroker> {
  const copy = await mkdtemp(join(tmpdir(), 'trunkline-crash-'));
  await rm(copy, { recursive: true });
  await cp(edge.data, copy, { recursive: true });
  return open({}, copy);
}

async function kept(edge: LocalBroker, clientId: string, properties = {}, clean = false) {
  const client = await Client5.session(edge.port, clientId, {
    clean,
    properties: { sessionExpiryInterval: 600, ...properties },
  });
  clients.push(client);
  return client;
}

/** PUBLISH that come until nothing more is due. */
async function takeAll(client: Client5, ack: boolean) {
  const taken = [];
  client.send({ cmd: 'pingreq' });
  for (;;) {
    const one = await client.next();
    if (one.cmd === 'pingresp') return taken;
    if (one.cmd !== 'publish') continue;
    taken.push(one);
    if (ack) client.send({ cmd: 'puback', messageId: one.messageId });
  }
}

test('a session that ends by its last word is not heard of again', async () => {
  const edge = await open();
  const client = await kept(edge, 'c');
  await client.disconnect({ sessionExpiryInterval: 0 });
  await until(() => edge.heard.includes('removed c'), 'the session has ended');
  assert.equal(edge.heard.at(-1), 'removed c');
});

test('an unsubscribe ends the replay of retained messages for good', async () => {
  const edge = await open();
  const sender = await TestClient.connect(edge.url);
  const all = Array.from({ length: 1_000 }, (_, i) => `${i}`);
  await Promise.all(all.map((text) => sender.publish(`r/${text}`, text, { qos: 1, retain: true })));
  await sender.end();
  const client = await kept(edge, 'c');
  await client.subscribe({ 'r/#': { qos: 1 } });
  client.send({ cmd: 'unsubscribe', messageId: 5, unsubscriptions: ['r/#'] });
  for (let one = await client.next(); one.cmd !== 'unsuback'; one = await client.next()) {
    client.send({ cmd: 'puback', messageId: one.messageId });
  }
  while ((await takeAll(client, true)).length > 0);
  await client.subscribe({ 'r/#': { qos: 1, rh: 2 } });
  for (let i = 0; i < 5; i++) assert.equal((await takeAll(client, true)).length, 0);
});

test('what is sent again keeps to the receive maximum of the new connection', async () => {
  const edge = await open();
  const first = await kept(edge, 'c');
  await first.subscribe({ t: { qos: 1 } });
  const sender = await TestClient.connect(edge.url);
  for (let i = 0; i < 10; i++) await sender.publish('t', `${i}`, { qos: 1 });
  await sender.end();
  while ((await first.nextOf('publish')).payload?.toString() !== '9');
  await first.cut();
  const second = await kept(edge, 'c', { receiveMaximum: 3 });
  const texts: string[] = [];
  while (texts.length < 10) {
    const taken = [await second.nextOf('publish'), ...(await takeAll(second, false))];
    assert.ok(taken.length <= 3, `${taken.length} at once`);
    for (const { messageId, payload } of taken) {
      texts.push(String(payload));
      second.send({ cmd: 'puback', messageId });
    }
  }
  assert.equal(texts.join(''), '0123456789');
});

test('QoS 2 under way is completed, also when it expires meanwhile', async () => {
  const edge = await open();
  const first = await kept(edge, 'c');
  await first.subscribe({ t: { qos: 2 } });
  const properties = { messageExpiryInterval: 1 };
  first.send({ cmd: 'publish', topic: 't', payload: 'x', qos: 2, messageId: 1, properties });
  const sent = await first.nextOf('publish');
  await first.cut();
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const second = await kept(edge, 'c');
  const again = await second.nextOf('publish');
  assert.deepEqual([again.messageId, again.dup], [sent.messageId, true]);
});

test('a new session does not inherit packet identifiers that were on their way to the disk', async () => {
  const edge = await open();
  const old = await kept(edge, 'c');
  const release = slowDisk.hold();
  old.send({ cmd: 'publish', topic: 't', payload: 'old', qos: 2, messageId: 5 });
  old.send({ cmd: 'pingreq' });
  await old.nextOf('pingresp');
  await old.cut();
  const next = await kept(edge, 'c', {}, true);
  release();
  slowDisk.restore();
  await until(() => edge.ledger.acceptedCount === 1, 'the old one is durable');
  await next.cut();
  const later = await startAfterCrash(edge);
  const reader = await TestClient.connect(later.url);
  await reader.subscribe('t', 2);
  const back = await kept(later, 'c');
  back.send({ cmd: 'publish', topic: 't', payload: 'new', qos: 2, messageId: 5 });
  await back.nextOf('pubrec');
  const [got] = await reader.expect(1, 3_000);
  assert.equal(got?.text, 'new');
  await reader.end();
});

test('what was delivered with QoS 0 does not come again with QoS 1 after a restart', async () => {
  const edge = await open();
  const client = await kept(edge, 'c');
  await client.subscribe({ t: { qos: 0 } });
  client.send({ cmd: 'publish', topic: 't', payload: 'before', qos: 1, messageId: 1 });
  await client.nextOf('puback');
  await client.subscribe({ t: { qos: 1 } });
  await client.cut();
  const sender = await RawClient.session(edge.port, 'sender');
  sender.send(publishPacket('t', 'after', { qos: 1, packetId: 1 }));
  await sender.nextOf(4);
  const later = await startAfterCrash(edge);
  const back = await kept(later, 'c');
  assert.equal(String((await back.nextOf('publish')).payload), 'after');
  sender.destroy();
});

test('a repeated PUBREL is not answered before the first is durable', async () => {
  const edge = await open();
  const first = await RawClient.session(edge.port, 'c', false);
  first.send(publishPacket('t', 'x', { qos: 2, packetId: 5 }));
  await first.nextOf(5);
  const release = slowDisk.hold();
  first.send(ackPacket(6, 5));
  first.destroy();
  const second = await RawClient.session(edge.port, 'c', false);
  second.send(ackPacket(6, 5));
  second.send([0xc0, 0]);
  assert.equal((await second.next()).type, 13);
  release();
  assert.equal((await second.next()).type, 7);
  second.destroy();
});
