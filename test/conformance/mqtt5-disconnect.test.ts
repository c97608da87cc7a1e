/** DISCONNECT of MQTT 5, mostly the server's: sections 3.14 and 4.13. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { bytesOf, Client5 } from '../support/client-5.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import { packet } from '../support/raw-client.ts';

let edge: LocalBroker;

before(async () => {
  edge = await openLocalBroker({ limits: { packet_bytes: 20_000 } });
});

after(async () => {
  await edge.discard();
});

const faults: readonly [string, Buffer, number][] = [
  ['PINGREQ with a body', packet(0xc0, Buffer.of(1)), 0x81],
  ['PINGREQ with flags [MQTT-2.1.3-1]', Buffer.of(0xc1, 0), 0x81],
  ['DISCONNECT with flags [MQTT-3.14.1-1]', Buffer.of(0xe1, 0), 0x81],
  ['DISCONNECT with a reason of servers [MQTT-3.14.2-1]', packet(0xe0, Buffer.of(0x8e)), 0x82],
  ['DISCONNECT with a server reference', packet(0xe0, Buffer.of(0, 4, 0x1c, 0, 1, 97)), 0x82],
  ['DISCONNECT with a property of CONNECT', packet(0xe0, Buffer.of(0, 3, 0x21, 0, 1)), 0x81],
  ['DISCONNECT with bytes behind its properties', packet(0xe0, Buffer.of(0, 0, 0)), 0x81],
  ['packet type 0', Buffer.of(0, 0), 0x82],
  ['CONNACK from a client', Buffer.of(0x20, 3, 0, 0, 0), 0x82],
  ['SUBACK from a client', Buffer.of(0x90, 4, 0, 1, 0, 0), 0x82],
  ['PINGRESP from a client', Buffer.of(0xd0, 0), 0x82],
  ['AUTH without a method at CONNECT [MQTT-4.12.0-6]', packet(0xf0, Buffer.of(0x18, 0)), 0x82],
  ['a remaining length of five bytes', Buffer.of(0x30, 255, 255, 255, 255, 1), 0x81],
  [
    'a packet larger than the server takes [section 3.2.2.3.6]',
    packet(0x30, Buffer.alloc(20_000)),
    0x95,
  ],
];

for (const [what, bytes, reasonCode] of faults) {
  test(`${what} ends the connection with 0x${reasonCode.toString(16)}`, async () => {
    const client = await Client5.session(edge.port, 'faulty');
    client.send(bytes);
    assert.equal(await client.farewell(), reasonCode);
  });
}

test('DISCONNECT of a client is not answered [MQTT-3.14.4-3]', async () => {
  for (const bytes of [Buffer.of(0xe0, 0), Buffer.of(0xe0, 1, 0), Buffer.of(0xe0, 2, 0x80, 0)]) {
    const client = await Client5.session(edge.port, 'leaving');
    client.send(bytes);
    await assert.rejects(client.next(), /closed/);
  }
});

test('what comes behind DISCONNECT does not count [MQTT-3.14.4-1]', async () => {
  const watcher = await Client5.session(edge.port, 'watcher');
  await watcher.subscribe('behind/#');
  const client = await Client5.session(edge.port, 'behind');
  const late = {
    cmd: 'publish',
    topic: 'behind/x',
    payload: 'late',
    qos: 0,
    dup: false,
    retain: false,
  };
  client.send(Buffer.concat([Buffer.of(0xe0, 0), bytesOf(late)]));
  await client.closed;
  assert.deepEqual(await watcher.received(), []);
  await watcher.disconnect();
});

test('a client that is silent beyond its keep alive is told 0x8d [MQTT-3.1.2-22]', async () => {
  const client = await Client5.session(edge.port, 'silent', { keepalive: 1 });
  assert.equal(await client.farewell(), 0x8d);
});

test('a server that shuts down says so with 0x8b', async () => {
  const other = await openLocalBroker();
  const client = await Client5.session(other.port, 'shut-down');
  const [reasonCode] = await Promise.all([client.farewell(), other.discard()]);
  assert.equal(reasonCode, 0x8b);
});

test('the reason string is for who wants it and can take it [MQTT-3.14.2-3]', async () => {
  for (const [properties, isTold] of [
    [{}, true],
    [{ requestProblemInformation: false }, false],
    [{ maximumPacketSize: 30 }, false],
    [{ maximumPacketSize: 200 }, true],
  ] as const) {
    const client = await Client5.open(edge.port);
    const connack = await client.connect('reason', { properties });
    assert.equal(connack.reasonCode, 0);
    client.send(Buffer.of(0xd0, 0));
    const said = await client.nextOf('disconnect');
    assert.equal(said.reasonCode, 0x82);
    assert.equal(typeof said.properties?.['reasonString'], isTold ? 'string' : 'undefined');
    await client.closed;
  }
});
