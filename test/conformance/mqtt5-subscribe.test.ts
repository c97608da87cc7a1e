/** SUBSCRIBE, UNSUBSCRIBE and their acknowledgements in MQTT 5: sections 3.8 to 3.11 and 4.8. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client5 } from '../support/client-5.ts';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import { packet, RawClient, subscribePacket } from '../support/raw-client.ts';

let edge: LocalBroker;

before(async () => {
  edge = await openLocalBroker({ limits: { subscriptions: 5 } });
});

after(async () => {
  await edge.discard();
});

function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes]);
}

/** SUBSCRIBE by its bytes: properties, then filters with their options. */
function subscribeBytes(properties: readonly number[], ...filters: [string, number][]): Buffer {
  const head = Buffer.of(0, 9, properties.length, ...properties);
  return packet(
    0x82,
    head,
    ...filters.flatMap(([name, options]) => [text(name), Buffer.of(options)]),
  );
}

/** More levels than the server takes. */
const deep = '/'.repeat(200);

test('SUBACK has a reason code for each filter in order [MQTT-3.9.3-1]', async () => {
  const client = await Client5.session(edge.port, 'codes');
  client.send(
    subscribeBytes(
      [],
      ...([
        ['c/0', 0],
        ['c/1', 1],
        ['c/2', 2],
        ['$private/x', 1],
        [deep, 1],
        ['c/0', 2],
        ['$share/group/c/s', 1],
        [`$share/group/${deep}`, 1],
        ['$share/group/$private/x', 1],
      ] as [string, number][]),
    ),
  );
  const { granted, messageId } = await client.nextOf('suback');
  assert.equal(messageId, 9);
  assert.deepEqual(granted, [0, 1, 2, 0x87, 0x8f, 2, 1, 0x8f, 0x87]);
  await client.disconnect();
});

test('a subscription over the bound of a session is refused with 0x97', async () => {
  const client = await Client5.session(edge.port, 'quota');
  const filters = Array.from({ length: 6 }, (_, i): [string, number] => [`q/${i}`, 0]);
  client.send(subscribeBytes([], ...filters));
  assert.deepEqual((await client.nextOf('suback')).granted, [0, 0, 0, 0, 0, 0x97]);
  // One that is there already may be changed.
  assert.deepEqual(await client.subscribe({ 'q/0': { qos: 2 } }), [2]);
  await client.disconnect();
});

test('a valid shared subscription is granted to MQTT 3.1.1, an invalid one refused', async () => {
  const raw = await RawClient.session(edge.port, 'shared-311');
  raw.send(subscribePacket(1, '$share/group/s/#', 1));
  assert.deepEqual([...(await raw.nextOf(9)).body], [0, 1, 1]);
  raw.send(subscribePacket(2, '$share/group', 1));
  assert.deepEqual([...(await raw.nextOf(9)).body], [0, 2, 0x80]);
  raw.destroy();
});

const faults: readonly [string, Buffer, number][] = [
  ['reserved bits in its options [MQTT-3.8.3-5]', subscribeBytes([], ['a', 0x40]), 0x81],
  ['QoS 3', subscribeBytes([], ['a', 3]), 0x82],
  ['retain handling 3', subscribeBytes([], ['a', 0x30]), 0x82],
  ['no local on a shared subscription [MQTT-3.8.3-4]', subscribeBytes([], ['$share/g/a', 4]), 0x82],
  ['no filter [MQTT-3.8.3-2]', subscribeBytes([]), 0x82],
  ['subscription identifier 0', subscribeBytes([0x0b, 0], ['a', 0]), 0x82],
  ['two subscription identifiers', subscribeBytes([0x0b, 1, 0x0b, 2], ['a', 0]), 0x82],
  ['a property of CONNECT', subscribeBytes([0x21, 0, 1], ['a', 0]), 0x81],
  [
    'packet identifier 0 [MQTT-2.2.1-3]',
    packet(0x82, Buffer.of(0, 0, 0), text('a'), Buffer.of(0)),
    0x81,
  ],
  ['wrong flags [MQTT-3.8.1-1]', packet(0x80, Buffer.of(0, 9, 0), text('a'), Buffer.of(0)), 0x81],
  ['an empty filter [MQTT-4.7.3-1]', subscribeBytes([], ['a', 0], ['', 0]), 0x81],
  ['# before the end of a filter [MQTT-4.7.1-1]', subscribeBytes([], ['a/#/x', 0]), 0x81],
  ['# as a part of a level [MQTT-4.7.1-1]', subscribeBytes([], ['a#', 0]), 0x81],
  ['+ as a part of a level [MQTT-4.7.1-2]', subscribeBytes([], ['+a', 0]), 0x81],
  ['no name of a group [MQTT-4.8.2-1]', subscribeBytes([], ['$share//a', 0]), 0x82],
  ['nothing that a group shares [MQTT-4.8.2-2]', subscribeBytes([], ['$share/g/', 0]), 0x82],
  ['nothing behind the name of a group', subscribeBytes([], ['$share/g', 0]), 0x82],
  ['a filter without options', packet(0x82, Buffer.of(0, 9, 0), text('a')), 0x81],
  [
    'a filter that is not UTF-8 [MQTT-3.8.3-1]',
    packet(0x82, Buffer.of(0, 9, 0), text(Buffer.of(0xff)), Buffer.of(0)),
    0x81,
  ],
];

for (const [what, bytes, reasonCode] of faults) {
  test(`SUBSCRIBE with ${what} ends the connection with 0x${reasonCode.toString(16)}`, async () => {
    const client = await Client5.session(edge.port, 'faulty');
    client.send(bytes);
    assert.equal(await client.farewell(), reasonCode);
  });
}

const unsubscribes: readonly [string, Buffer, number][] = [
  ['no filter [MQTT-3.10.3-2]', packet(0xa2, Buffer.of(0, 9, 0)), 0x82],
  ['wrong flags [MQTT-3.10.1-1]', packet(0xa0, Buffer.of(0, 9, 0), text('a')), 0x81],
  ['packet identifier 0 [MQTT-2.2.1-3]', packet(0xa2, Buffer.of(0, 0, 0), text('a')), 0x81],
  ['an empty filter', packet(0xa2, Buffer.of(0, 9, 0), text('')), 0x81],
  ['a filter that is cut off', packet(0xa2, Buffer.of(0, 9, 0, 0, 9, 97)), 0x81],
];

for (const [what, bytes, reasonCode] of unsubscribes) {
  test(`UNSUBSCRIBE with ${what} ends the connection with 0x${reasonCode.toString(16)}`, async () => {
    const client = await Client5.session(edge.port, 'faulty');
    client.send(bytes);
    assert.equal(await client.farewell(), reasonCode);
  });
}

for (const sessionExpiryInterval of [0, 60]) {
  const kind = sessionExpiryInterval > 0 ? 'a kept' : 'a short';
  test(`UNSUBACK tells which filters ${kind} session had [section 3.11.3]`, async () => {
    const client = await Client5.session(edge.port, `unsuback-${sessionExpiryInterval}`, {
      properties: { sessionExpiryInterval },
    });
    await client.subscribe({ 'u/a': { qos: 1 }, '$share/g/u': { qos: 1 } });
    const unsubscriptions = ['u/a', 'u/b', '$share/g/u', 'u/a', '$share/h/u'];
    client.send({ cmd: 'unsubscribe', messageId: 5, unsubscriptions });
    const { granted, messageId } = await client.nextOf('unsuback');
    assert.deepEqual([messageId, ...(granted ?? [])], [5, 0, 0x11, 0, 0x11, 0x11]);
    await client.disconnect();
  });
}

test('a resumed session knows its filters when it unsubscribes', async () => {
  const options = { clean: false, properties: { sessionExpiryInterval: 60 } };
  const first = await Client5.session(edge.port, 'resumed-unsuback', options);
  await first.subscribe('ru/a');
  await first.disconnect();
  const second = await Client5.session(edge.port, 'resumed-unsuback', options);
  second.send({ cmd: 'unsubscribe', messageId: 5, unsubscriptions: ['ru/a', 'ru/b'] });
  assert.deepEqual((await second.nextOf('unsuback')).granted, [0, 0x11]);
  await second.disconnect();
});

test('retained messages are sent as retain handling says [MQTT-3.3.1-9 to 11]', async () => {
  const sender = await TestClient.connect(edge.url);
  await sender.publish('rh/x', 'kept', { qos: 1, retain: true });
  const client = await Client5.session(edge.port, 'retain-handling');
  const after = async (rh: number) => {
    assert.deepEqual(await client.subscribe({ 'rh/#': { qos: 1, rh } }), [1]);
    return client.received();
  };
  assert.deepEqual(await after(2), []);
  assert.deepEqual(await after(1), []);
  assert.deepEqual(await after(0), ['kept']);
  client.send({ cmd: 'unsubscribe', messageId: 5, unsubscriptions: ['rh/#'] });
  await client.nextOf('unsuback');
  assert.deepEqual(await after(1), ['kept']);
  await sender.publish('rh/x', '', { qos: 1, retain: true });
  await client.disconnect();
  await sender.end();
});

test('a shared subscription gets no retained messages [section 4.8.2]', async () => {
  const sender = await TestClient.connect(edge.url);
  await sender.publish('sr/x', 'kept', { qos: 1, retain: true });
  const client = await Client5.session(edge.port, 'shared-retained');
  await client.subscribe('$share/group/sr/#');
  assert.deepEqual(await client.received(), []);
  await sender.publish('sr/x', '', { qos: 1, retain: true });
  await client.disconnect();
  await sender.end();
});

test('a client that can take no SUBACK so large is disconnected [MQTT-3.1.2-24]', async () => {
  const client = await Client5.session(edge.port, 'small', {
    properties: { maximumPacketSize: 60 },
  });
  const filters = Array.from({ length: 60 }, (_, i): [string, number] => [`$no/${i}`, 0]);
  client.send(subscribeBytes([], ...filters));
  assert.equal(await client.farewell(), 0x95);
});

test('subscription options of a kept session are there after a restart', async () => {
  const first = await openLocalBroker();
  const options = { clean: false, properties: { sessionExpiryInterval: 60 } };
  const client = await Client5.session(first.port, 'restart', options);
  const asked = { 'so/#': { qos: 1, nl: true, rap: true } };
  await client.subscribe(asked, { subscriptionIdentifier: 268_435_455 });
  await client.disconnect();
  await first.close();
  const second = await openLocalBroker({}, first.data);
  const back = await Client5.session(second.port, 'restart', options);
  // Its own stays away, another's comes with retain flag and identifier, and none is new.
  const mine = {
    cmd: 'publish',
    topic: 'so/x',
    payload: 'mine',
    qos: 0,
    dup: false,
    retain: false,
  };
  back.send(mine);
  const sender = await TestClient.connect(second.url);
  await sender.publish('so/x', 'yours', { qos: 1, retain: true });
  const delivered = await back.nextOf('publish');
  assert.deepEqual(
    [String(delivered.payload), delivered.retain, delivered.properties?.['subscriptionIdentifier']],
    ['yours', true, 268_435_455],
  );
  await back.subscribe({ 'so/#': { qos: 1, nl: true, rh: 1 } });
  back.send({ cmd: 'puback', messageId: delivered.messageId });
  assert.deepEqual(await back.received(), []);
  await back.disconnect();
  await sender.end();
  await second.discard();
});
