/** MQTT 5, messages: properties, aliases, expiry and the bounds of both sides. */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Client5 } from '../support/client-5.ts';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';

let edge: LocalBroker;
const clients: Client5[] = [];

before(async () => {
  edge = await openLocalBroker({
    limits: { receive_maximum: 5, topic_aliases: 3, packet_bytes: 4_096 },
  });
});

after(() => edge.discard());

afterEach(async () => {
  for (const client of clients.splice(0)) await client.cut();
});

async function session(clientId: string, properties: Record<string, unknown> = {}) {
  const client = await Client5.session(edge.port, clientId, { properties });
  clients.push(client);
  return client;
}

function publish(topic: string, payload: string, more: Record<string, unknown> = {}) {
  return { cmd: 'publish', topic, payload, qos: 0, retain: false, dup: false, ...more };
}

const all = {
  payloadFormatIndicator: true,
  messageExpiryInterval: 100,
  responseTopic: 'answers/1',
  correlationData: Buffer.from([0, 1, 255]),
  userProperties: { a: ['1', '2'], b: '3' },
  contentType: 'text/plain',
};

for (const qos of [0, 1, 2] as const) {
  test(`all properties of QoS ${qos} arrive as they were sent [MQTT-3.3.2-4, -15, -16, -17, -18, -20]`, async () => {
    const subscriber = await session('reader');
    await subscriber.subscribe({ 'p/#': { qos: 2 } });
    const publisher = await session('writer');
    publisher.send(publish('p/x', 'text', { qos, messageId: 9, properties: all }));
    const got = await subscriber.nextOf('publish');
    assert.equal(got.qos, qos);
    assert.deepEqual(
      { ...got.properties, userProperties: { ...(got.properties?.['userProperties'] as object) } },
      all,
    );
  });
}

test('a subscriber of MQTT 3.1.1 gets the message without properties', async () => {
  const subscriber = await TestClient.connect(edge.url);
  await subscriber.subscribe('old/#', 1);
  const publisher = await session('writer');
  publisher.send(publish('old/x', 'text', { qos: 1, messageId: 1, properties: all }));
  await publisher.nextOf('puback');
  publisher.send(publish('old/x', 'plain', { qos: 1, messageId: 2 }));
  await publisher.nextOf('puback');
  await subscriber.expect(2);
  assert.deepEqual(
    subscriber.received.map((one) => one.text),
    ['text', 'plain'],
  );
  await subscriber.end();
});

test('a topic alias stands for its topic, also at QoS 2, until it is given anew [section 3.3.2.3.4]', async () => {
  const subscriber = await session('reader');
  await subscriber.subscribe({ 'alias/#': { qos: 2 } });
  const publisher = await session('writer');
  const alias = { topicAlias: 3 };
  publisher.send(publish('alias/a', '1', { properties: alias }));
  publisher.send(publish('', '2', { properties: alias }));
  publisher.send(publish('', '3', { qos: 1, messageId: 1, properties: alias }));
  publisher.send(publish('', '4', { qos: 2, messageId: 2, properties: alias }));
  publisher.send(publish('alias/b', '5', { qos: 2, messageId: 3, properties: alias }));
  publisher.send(publish('', '6', { qos: 2, messageId: 4, properties: alias }));
  const got = [];
  while (got.length < 6) got.push(await subscriber.nextOf('publish'));
  const byText = got.map((one) => [String(one.payload), one.topic]);
  assert.deepEqual(byText.toSorted(), [
    ['1', 'alias/a'],
    ['2', 'alias/a'],
    ['3', 'alias/a'],
    ['4', 'alias/a'],
    ['5', 'alias/b'],
    ['6', 'alias/b'],
  ]);
});

const aliasFaults: [string, Record<string, unknown>, number][] = [
  ['0', publish('a', '', { properties: { topicAlias: 0 } }), 0x94],
  ['over the maximum', publish('a', '', { properties: { topicAlias: 4 } }), 0x94],
  ['that stands for nothing', publish('', '', { properties: { topicAlias: 2 } }), 0x82],
];
for (const [what, packet, code] of aliasFaults) {
  test(`a topic alias ${what} ends the connection with 0x${code.toString(16)} [MQTT-3.3.2-7 to -9]`, async () => {
    const publisher = await session('writer');
    publisher.send(packet);
    assert.equal(await publisher.farewell(), code);
  });
}

test('the client gets aliases, no more than it takes [MQTT-3.1.2-26, -27]', async () => {
  const subscriber = await session('reader', { topicAliasMaximum: 2 });
  await subscriber.subscribe({ 'long/#': { qos: 0 } });
  const publisher = await session('writer');
  for (const topic of [
    'long/one',
    'long/two',
    'long/three',
    'long/one',
    'long/two',
    'long/three',
  ]) {
    publisher.send(publish(topic, topic));
  }
  const got = [];
  while (got.length < 6) got.push(await subscriber.nextOf('publish'));
  assert.deepEqual(
    got.map((one) => [one.topic, one.properties?.['topicAlias'], String(one.payload)]),
    [
      ['long/one', 1, 'long/one'],
      ['long/two', 2, 'long/two'],
      ['long/three', undefined, 'long/three'],
      ['', 1, 'long/one'],
      ['', 2, 'long/two'],
      ['long/three', undefined, 'long/three'],
    ],
  );
});

test('no more QoS 1 and 2 is under way to a client than it takes [MQTT-3.3.4-9]', async () => {
  const subscriber = await session('reader', { receiveMaximum: 2 });
  await subscriber.subscribe({ 'window/#': { qos: 1 } });
  const publisher = await session('writer');
  for (const text of ['1', '2', '3', '4', '5']) {
    publisher.send(publish('window/x', text, { qos: 1, messageId: Number(text) }));
    await publisher.nextOf('puback');
  }
  assert.deepEqual(await subscriber.received(), ['1', '2']);
  subscriber.send({ cmd: 'puback', messageId: 1 });
  assert.deepEqual(await subscriber.received(), ['3']);
});

test('a client that sends more than the receive maximum is told 0x93 [MQTT-3.3.4-7]', async () => {
  const publisher = await session('writer');
  for (let id = 1; id <= 6; id++) publisher.send(publish('m', '', { qos: 2, messageId: id }));
  assert.equal(await publisher.farewell(), 0x93);
});

test('what earlier connections have not released does not count against the next one', async () => {
  const kept = { sessionExpiryInterval: 60 };
  const first = await session('forgetful', kept);
  for (let id = 1; id <= 5; id++) first.send(publish('m', '', { qos: 2, messageId: id }));
  for (let id = 1; id <= 5; id++) await first.nextOf('pubrec');
  await first.cut();
  const next = await Client5.session(edge.port, 'forgetful', { clean: false, properties: kept });
  clients.push(next);
  for (let id = 11; id <= 15; id++) {
    next.send(publish('m', '', { qos: 2, messageId: id }));
    assert.equal((await next.nextOf('pubrec')).messageId, id);
  }
  next.send(publish('m', '', { qos: 2, messageId: 16 }));
  assert.equal(await next.farewell(), 0x93);
});

test('a packet that is too large for the client is left out, and the next one comes [MQTT-3.1.2-24, -25]', async () => {
  const subscriber = await session('reader', { maximumPacketSize: 60 });
  await subscriber.subscribe({ 'size/#': { qos: 1 } });
  const publisher = await session('writer');
  for (const [id, bytes] of [10, 200, 20].entries()) {
    const payload = 'x'.repeat(bytes);
    publisher.send(publish('size/x', payload, { qos: 1, messageId: id + 1 }));
  }
  const first = await subscriber.nextOf('publish');
  const second = await subscriber.nextOf('publish');
  assert.deepEqual([first.payload?.length, second.payload?.length], [10, 20]);
  assert.match(edge.metrics.text(), /trunkline_dropped_total\{reason="packet-too-large"\} 1/);
});

test('a packet over the maximum of the server ends the connection with 0x95', async () => {
  const publisher = await session('writer');
  publisher.send(publish('big', 'x'.repeat(5_000)));
  assert.equal(await publisher.farewell(), 0x95);
});

test('each delivery has the identifiers of all subscriptions that match [MQTT-3.3.4-3, -4]', async () => {
  const subscriber = await session('reader');
  await subscriber.subscribe({ 'ids/#': { qos: 0 } }, { subscriptionIdentifier: 7 });
  await subscriber.subscribe({ 'ids/x': { qos: 1 } }, { subscriptionIdentifier: 268_435_455 });
  await subscriber.subscribe({ 'ids/+': { qos: 0 } });
  const publisher = await session('writer');
  publisher.send(publish('ids/x', 'both', { qos: 1, messageId: 1 }));
  publisher.send(publish('ids/y', 'one', { qos: 1, messageId: 2 }));
  const both = await subscriber.nextOf('publish');
  const one = await subscriber.nextOf('publish');
  const identifiers = [both.properties?.['subscriptionIdentifier']].flat() as number[];
  assert.deepEqual(
    identifiers.toSorted((a, b) => a - b),
    [7, 268_435_455],
  );
  assert.equal(both.qos, 1);
  assert.equal(one.properties?.['subscriptionIdentifier'], 7);
  assert.equal(one.qos, 0);
});

test('no local keeps back only what the session itself published, and only there [MQTT-3.8.3-3]', async () => {
  const both = await session('both');
  await both.subscribe({ 'nl/#': { qos: 1, nl: true } });
  const other = await session('other');
  for (const qos of [0, 1]) {
    both.send(publish('nl/x', 'mine', { qos, messageId: 1 }));
    other.send(publish('nl/x', `other ${qos}`, { qos, messageId: 1 }));
    assert.equal(String((await both.nextOf('publish')).payload), `other ${qos}`);
  }
  await both.subscribe({ 'nl/x': { qos: 0 } });
  both.send(publish('nl/x', 'mine'));
  assert.deepEqual(await both.received(), ['mine']);
});

test('retain as published keeps the flag of live messages [MQTT-3.3.1-12, -13]', async () => {
  const subscriber = await session('reader');
  await subscriber.subscribe({ 'rap/kept': { qos: 0, rap: true }, 'rap/+': { qos: 0 } });
  await subscriber.subscribe({ 'other/+': { qos: 0 } });
  const publisher = await session('writer');
  for (const topic of ['rap/kept', 'rap/plain', 'other/x']) {
    publisher.send(publish(topic, topic, { retain: true }));
  }
  const got = [];
  while (got.length < 3) got.push(await subscriber.nextOf('publish'));
  assert.deepEqual(
    got.map((one) => [one.topic, one.retain]),
    [
      ['rap/kept', true],
      ['rap/plain', false],
      ['other/x', false],
    ],
  );
});

test('a message that waited carries what is left of its expiry, and none when it is over [MQTT-3.3.2-5, -6]', async () => {
  const options = { clean: false, properties: { sessionExpiryInterval: 100 } };
  const away = await Client5.session(edge.port, 'away', options);
  await away.subscribe({ 'expiry/#': { qos: 1 } });
  await away.disconnect();
  const publisher = await session('writer');
  const expiring = (seconds: number) => ({ messageExpiryInterval: seconds });
  publisher.send(publish('expiry/x', 'short', { qos: 1, messageId: 1, properties: expiring(1) }));
  publisher.send(publish('expiry/x', 'long', { qos: 1, messageId: 2, properties: expiring(50) }));
  await publisher.nextOf('puback');
  // The clock of the message is the wall clock: it has to pass.
  await new Promise((resolve) => setTimeout(resolve, 1_300));
  const back = await Client5.session(edge.port, 'away', options);
  clients.push(back);
  const got = await back.nextOf('publish');
  assert.equal(String(got.payload), 'long');
  const left = got.properties?.['messageExpiryInterval'] as number;
  assert.ok(left >= 45 && left <= 49, `${left} s left`);
  assert.match(edge.metrics.text(), /trunkline_dropped_total\{reason="expired"\} 1/);
});

const faults: [string, Buffer, number][] = [
  ['a subscription identifier', Buffer.of(0x30, 6, 0, 1, 0x61, 2, 0x0b, 1), 0x82],
  ['a property that is not of PUBLISH', Buffer.of(0x30, 9, 0, 1, 0x61, 5, 0x11, 0, 0, 0, 1), 0x81],
  ['the same property twice', Buffer.of(0x30, 8, 0, 1, 0x61, 4, 1, 0, 1, 0), 0x82],
  ['properties that are longer than the packet', Buffer.of(0x30, 4, 0, 1, 0x61, 9), 0x81],
  ['QoS 3', Buffer.of(0x36, 6, 0, 1, 0x61, 0, 1, 0), 0x81],
  ['DUP at QoS 0', Buffer.of(0x38, 4, 0, 1, 0x61, 0), 0x81],
  ['a wildcard in its topic', Buffer.of(0x30, 4, 0, 1, 0x2b, 0), 0x90],
  ['a NUL in its topic [MQTT-1.5.4-2]', Buffer.of(0x30, 4, 0, 1, 0, 0), 0x81],
  ['neither topic nor alias [section 3.3.2.1]', Buffer.of(0x30, 3, 0, 0, 0), 0x82],
  ['packet identifier 0', Buffer.of(0x32, 6, 0, 1, 0x61, 0, 0, 0), 0x81],
];
for (const [what, bytes, code] of faults) {
  test(`PUBLISH with ${what} ends the connection with 0x${code.toString(16)}`, async () => {
    const publisher = await session('writer');
    publisher.send(bytes);
    assert.equal(await publisher.farewell(), code);
  });
}

test('what a client may not publish is answered with 0x87, and the connection goes on [section 3.4.2.1]', async () => {
  const publisher = await session('writer');
  publisher.send(publish('$SYS/x', '', { qos: 0 }));
  publisher.send(publish('$SYS/x', '', { qos: 1, messageId: 1 }));
  assert.equal((await publisher.nextOf('puback')).reasonCode, 0x87);
  publisher.send(publish('$SYS/x', '', { qos: 2, messageId: 2 }));
  assert.equal((await publisher.nextOf('pubrec')).reasonCode, 0x87);
  assert.deepEqual(await publisher.received(), []);
});

test('acknowledgements with reason codes and properties are taken [section 3.4.2]', async () => {
  const subscriber = await session('reader', { receiveMaximum: 1 });
  await subscriber.subscribe({ 'acks/#': { qos: 2 } });
  const publisher = await session('writer');
  publisher.send(publish('acks/x', '1', { qos: 1, messageId: 1 }));
  publisher.send(publish('acks/x', '2', { qos: 2, messageId: 2 }));
  publisher.send(publish('acks/x', '3', { qos: 1, messageId: 3 }));
  const first = await subscriber.nextOf('publish');
  const reason = { reasonString: 'no thanks', userProperties: { why: 'test' } };
  const puback = { cmd: 'puback', messageId: first.messageId, reasonCode: 0x80 };
  subscriber.send({ ...puback, properties: reason });
  const second = await subscriber.nextOf('publish');
  // [MQTT-4.3.3-4] a PUBREC that says no ends the exchange: the next one comes without PUBREL.
  subscriber.send({ cmd: 'pubrec', messageId: second.messageId, reasonCode: 0x97 });
  const third = await subscriber.next();
  assert.deepEqual([third.cmd, String(third.payload)], ['publish', '3']);
});

test('PUBREL for an identifier that is not known is answered with 0x92 [section 3.7.2.1]', async () => {
  const publisher = await session('writer');
  publisher.send({ cmd: 'pubrel', messageId: 99, reasonCode: 0 });
  assert.equal((await publisher.nextOf('pubcomp')).reasonCode, 0x92);
});
