/**
 * Clients that send all they have at once, without waiting for an answer, and those that end their
 * half of the connection behind it: MQTT 3.1.1 section 3.1.4 lets them.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import {
  connectPacket,
  packet,
  payloadOf,
  publishPacket,
  RawClient,
  subscribePacket,
} from '../support/raw-client.ts';

const disconnect = Buffer.of(0xe0, 0);

let edge: LocalBroker;
let watcher: TestClient;

before(async () => {
  edge = await openLocalBroker();
  watcher = await TestClient.connect(edge.url);
  await watcher.subscribe('seen/#', 1);
});

after(async () => {
  await watcher.end();
  await edge.discard();
});

function seen(): string[] {
  return watcher.received.splice(0).map((one) => one.text);
}

function text(value: string): Buffer {
  return Buffer.concat([Buffer.of(0, value.length), Buffer.from(value)]);
}

/** A kept session whose will would be seen. */
function connectWithWill(clientId: string): Buffer {
  const fields = [text(clientId), text('seen/will'), text('will')];
  return packet(0x10, text('MQTT'), Buffer.of(4, 4, 0, 60), ...fields);
}

test('CONNECT, PUBLISH and DISCONNECT in one segment, and then the end of input', async () => {
  for (const connect of [connectPacket('one-go'), connectWithWill('one-go-kept')]) {
    const raw = await RawClient.open(edge.port);
    raw.socket.end(
      Buffer.concat([
        connect,
        publishPacket('seen/x', 'zero'),
        publishPacket('seen/x', 'one', { qos: 1, packetId: 1 }),
        disconnect,
      ]),
    );
    assert.equal((await raw.next()).type, 2);
    await raw.closed;
    await watcher.expect(2);
    await watcher.roundTrip();
    assert.deepEqual(seen().sort(), ['one', 'zero']);
  }
});

test('SUBSCRIBE, PUBLISH and DISCONNECT in one segment, and then the end of input', async () => {
  const raw = await RawClient.open(edge.port);
  raw.send(connectWithWill('sub-pub'));
  await raw.nextOf(2);
  raw.socket.end(
    Buffer.concat([
      subscribePacket(1, 'seen/own', 1),
      publishPacket('seen/own', 'mine'),
      disconnect,
    ]),
  );
  await raw.nextOf(9);
  assert.equal(payloadOf(await raw.nextOf(3)), 'mine');
  await raw.closed;
  await watcher.expect(1);
  await watcher.roundTrip();
  assert.deepEqual(seen(), ['mine']);
});

test('a PUBLISH behind CONNECT reaches the subscription of its own kept session', async () => {
  const first = await RawClient.session(edge.port, 'own', false);
  first.send(subscribePacket(1, 'own/x', 1));
  await first.nextOf(9);
  first.destroy();
  const back = await RawClient.open(edge.port);
  back.send(
    Buffer.concat([connectPacket('own', { clean: false }), publishPacket('own/x', 'to myself')]),
  );
  assert.equal(payloadOf(await back.nextOf(3)), 'to myself');
  back.destroy();
});

test('DISCONNECT behind CONNECT leaves a kept session away, and its messages queued', async () => {
  const first = await RawClient.session(edge.port, 'brief', false);
  first.send(subscribePacket(1, 'brief/x', 1));
  await first.nextOf(9);
  first.destroy();
  await first.closed;
  const brief = await RawClient.open(edge.port);
  brief.send(Buffer.concat([connectPacket('brief', { clean: false }), disconnect]));
  await brief.closed;
  for (let i = 0; i < 5; i++) await watcher.publish('brief/x', `${i}`, { qos: 1 });
  const fact = [...edge.broker.localDelivery.sessions()].find((one) => one.clientId === 'brief');
  assert.deepEqual([fact?.queueMessages, fact?.inflightMessages], [5, 0]);
  const back = await RawClient.session(edge.port, 'brief', false);
  const published = await back.nextOf(3);
  assert.deepEqual([payloadOf(published), published.flags & 8], ['0', 0]);
  back.destroy();
});

test('DISCONNECT behind CONNECT of a clean session leaves nothing behind', async () => {
  edge.heard.length = 0;
  const brief = await RawClient.open(edge.port);
  brief.send(Buffer.concat([connectPacket('gone'), disconnect]));
  await brief.closed;
  await watcher.roundTrip();
  const heard = edge.heard.filter((one) => one.endsWith(' gone'));
  assert.equal(heard.at(-1), 'removed gone');
});

test('a burst that nobody subscribed to is acknowledged whole', async () => {
  const raw = await RawClient.session(edge.port, 'burst');
  const frames = Array.from({ length: 10_000 }, (_, i) =>
    publishPacket(`nobody/${i}`, 'x', { qos: 1, packetId: i + 1 }),
  );
  raw.send(Buffer.concat(frames));
  for (let i = 0; i < frames.length; i++) assert.equal((await raw.nextOf(4)).type, 4);
  raw.destroy();
});

test('PUBREL that does not wait for PUBREC frees its identifier', async () => {
  const raw = await RawClient.session(edge.port, 'hasty', false);
  const handshake = (body: string) =>
    Buffer.concat([
      publishPacket('seen/hasty', body, { qos: 2, packetId: 5 }),
      Buffer.of(0x62, 2, 0, 5),
    ]);
  raw.send(handshake('a'));
  await raw.nextOf(5);
  await raw.nextOf(7);
  raw.send(handshake('b'));
  await raw.nextOf(5);
  await watcher.expect(2);
  await watcher.roundTrip();
  assert.deepEqual(seen(), ['a', 'b']);
  raw.destroy();
});

test('retained messages beyond the bounds of a session come at its pace, all of them', async () => {
  const small = await openLocalBroker({ limits: { queue_messages: 100, output_bytes: 100_000 } });
  const sender = await RawClient.session(small.port, 'sender');
  const count = 3_000;
  const body = 'x'.repeat(200);
  const frames = Array.from({ length: count }, (_, i) =>
    publishPacket(`many/${i}`, body, { qos: 1, packetId: i + 1, retain: true }),
  );
  sender.send(Buffer.concat(frames));
  for (let i = 0; i < count; i++) await sender.nextOf(4);
  for (const qos of [0, 1] as const) {
    const late = await TestClient.connect(small.url);
    await late.subscribe('many/#', qos);
    await late.expect(count);
    assert.equal(new Set(late.received.map((one) => one.topic)).size, count);
    await late.end();
  }
  assert.equal(small.ledger.droppedCount, 0);
  sender.destroy();
  await small.discard();
});
