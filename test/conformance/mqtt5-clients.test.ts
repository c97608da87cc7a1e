/** MQTT.js as an MQTT 5 client: what applications see of sessions, options, wills and ends. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { IClientOptions, IDisconnectPacket, IPublishPacket } from 'mqtt';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';

let edge: LocalBroker;
const clients: TestClient[] = [];

before(async () => {
  edge = await openLocalBroker();
});

after(async () => {
  for (const client of clients) client.mqtt.end(true);
  await edge.discard();
});

async function connect(options: IClientOptions = {}, url = edge.url): Promise<TestClient> {
  const client = await TestClient.connect(url, { protocolVersion: 5, ...options });
  clients.push(client);
  return client;
}

/** The next message with its properties. */
function nextMessage(client: TestClient): Promise<IPublishPacket> {
  return new Promise((resolve) => {
    client.mqtt.once('message', (_topic, _payload, packet) => resolve(packet));
  });
}

test('a message passes with its properties between clients of MQTT 5, over TCP and WebSocket', async () => {
  const receiver = await connect({}, `ws://127.0.0.1:${edge.wsPort}/mqtt`);
  await receiver.mqtt.subscribeAsync('js/props', {
    qos: 1,
    properties: { subscriptionIdentifier: 7 },
  });
  const sender = await connect();
  const message = nextMessage(receiver);
  const properties = { contentType: 'text/plain', userProperties: { a: 'b' } };
  await sender.mqtt.publishAsync('js/props', 'x', { qos: 1, properties });
  const { properties: given } = await message;
  assert.equal(given?.contentType, 'text/plain');
  assert.deepEqual({ ...given?.userProperties }, { a: 'b' });
  assert.equal(given?.subscriptionIdentifier, 7);
});

test('no local keeps away what the client itself publishes', async () => {
  const client = await connect();
  await client.mqtt.subscribeAsync('js/nl', { qos: 1, nl: true });
  await client.publish('js/nl', 'mine', { qos: 1 });
  const other = await connect();
  await other.publish('js/nl', 'theirs', { qos: 1 });
  await client.expect(1);
  assert.deepEqual(client.texts, ['theirs']);
});

test('a refused subscription is an error with its reason code', async () => {
  const client = await connect();
  await assert.rejects(client.mqtt.subscribeAsync('$private/x'), (error: Error) => {
    assert.match(`${error.message} ${JSON.stringify(error)}`, /135|not authorized/i);
    return true;
  });
});

test('a kept session gets what was published meanwhile', async () => {
  const options = { clientId: 'js-kept', clean: false, properties: { sessionExpiryInterval: 60 } };
  const first = await connect(options);
  await first.subscribe('js/kept', 1);
  await first.end();
  const sender = await connect();
  await sender.publish('js/kept', 'waited', { qos: 1 });
  const back = await connect(options);
  assert.equal(back.sessionPresent, true);
  await back.expect(1);
  assert.deepEqual(back.texts, ['waited']);
});

test('a client that is taken over is told', async () => {
  const first = await connect({ clientId: 'js-taken' });
  const told = new Promise<IDisconnectPacket>((resolve) => {
    first.mqtt.once('disconnect', resolve);
  });
  await connect({ clientId: 'js-taken' });
  assert.equal((await told).reasonCode, 0x8e);
});
