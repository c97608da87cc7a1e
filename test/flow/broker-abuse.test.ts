/** Bad input on the device ports: a clear close, a count, and the broker lives on. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import {
  connectPacket,
  packet,
  publishPacket,
  RawClient,
  subscribePacket,
} from '../support/raw-client.ts';
import { until } from '../support/until.ts';

let edge: LocalBroker;

before(async () => {
  edge = await openLocalBroker({
    limits: { packet_bytes: 100_000, queue_messages: 100, output_bytes: 100_000, drain_seconds: 1 },
  });
});

after(async () => {
  const probe = await TestClient.connect(edge.url);
  await probe.roundTrip();
  await probe.end();
  await edge.discard();
});

function counted(pattern: RegExp): void {
  assert.match(edge.metrics.text(), pattern);
}

const beforeConnect: [string, Buffer][] = [
  ['garbage', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
  ['a PUBLISH before CONNECT', publishPacket('a', 'x')],
  ['a remaining length of five bytes', Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff, 1])],
  ['a CONNECT that claims 16 MiB', Buffer.from([0x10, 0xff, 0xff, 0xff, 0x07])],
  ['a CONNECT with a wrong protocol name', packet(0x10, Buffer.from('\0\x04FAIL\x04\x02\0\0\0\0'))],
];

for (const [name, bytes] of beforeConnect) {
  test(`${name} closes the connection`, async () => {
    const raw = await RawClient.open(edge.port);
    raw.send(bytes);
    await raw.closed;
  });
}

const afterConnect: [string, Buffer][] = [
  ['a second CONNECT', connectPacket('again')],
  ['QoS 3', packet(0x36, Buffer.from([0, 1, 97, 0, 1]))],
  ['packet identifier 0', publishPacket('a', 'x', { qos: 1, packetId: 0 })],
  ['a wildcard in a topic name', publishPacket('a/#', 'x')],
  ['an empty topic name', publishPacket('', 'x')],
  ['a topic that is not UTF-8', packet(0x30, Buffer.from([0, 2, 0xc3, 0x28, 1]))],
  ['a NUL in a topic name', publishPacket('a\0b', 'x')],
  ['a topic longer than the packet', packet(0x30, Buffer.from([0, 200, 97]))],
  ['a PUBACK of three bytes', Buffer.from([0x40, 3, 0, 1, 0])],
  ['a PUBREL with wrong flags', Buffer.from([0x60, 2, 0, 1])],
  ['a CONNACK from a client', Buffer.from([0x20, 2, 0, 0])],
  ['an invalid filter', subscribePacket(1, 'a#', 0)],
  ['a packet beyond the limit', publishPacket('a', 'x'.repeat(200_000))],
];

for (const [name, bytes] of afterConnect) {
  test(`${name} closes the connection`, async () => {
    const raw = await RawClient.session(edge.port, `abuse-${name}`);
    raw.send(bytes);
    await raw.closed;
  });
}

test('the reasons of bad connections are counted', () => {
  counted(/trunkline_connections_closed_total\{reason="malformed"\} \d+/);
  counted(/trunkline_connections_closed_total\{reason="packet-too-large"\} 2/);
  counted(/trunkline_connections_refused_total\{reason="packet-too-large"\} 1/);
  counted(/trunkline_connections_refused_total\{reason="protocol-error"\} \d+/);
});

test('client identifiers that name properties of objects are plain identifiers', async () => {
  for (const clientId of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) {
    const client = await TestClient.connect(edge.url, { clientId, clean: false });
    await client.subscribe(clientId, 1);
    await client.publish(clientId, 'x', { qos: 1 });
    await client.expect(1);
    await client.end();
  }
});

test('an empty client identifier is refused with a kept session and named with a clean one', async () => {
  const kept = await RawClient.open(edge.port);
  kept.send(connectPacket('', { clean: false }));
  assert.deepEqual([...(await kept.next()).body], [0, 2]);
  await kept.closed;
  const clean = await RawClient.session(edge.port, '');
  clean.destroy();
});

test('a subscriber that does not read loses QoS 0 by policy and stops nobody', async () => {
  const frozen = await RawClient.session(edge.port, 'frozen');
  frozen.send(subscribePacket(1, 'flood/#', 0));
  await frozen.nextOf(9);
  frozen.socket.pause();
  const [sender, other] = await Promise.all([
    TestClient.connect(edge.url),
    TestClient.connect(edge.url),
  ]);
  await other.subscribe('calm', 0);
  const payload = 'x'.repeat(50_000);
  for (let i = 0; i < 400; i++) {
    await sender.publish('flood/a', payload);
    if (i % 40 === 0) await sender.publish('calm', `${i}`);
  }
  await other.expect(10);
  counted(/trunkline_dropped_total\{reason="slow-reader"\} \d+/);
  // It is disconnected when it has left its bytes unread for too long.
  await until(
    () => edge.metrics.text().includes('connections_closed_total{reason="slow-reader"} 1'),
    'the frozen subscriber is disconnected',
  );
  frozen.destroy();
  await Promise.all([sender.end(), other.end()]);
});

test('a kept session that is away has a bounded queue, and what does not fit is counted', async () => {
  const away = await TestClient.connect(edge.url, { clientId: 'bounded', clean: false });
  await away.subscribe('b', 1);
  await away.end();
  const sender = await TestClient.connect(edge.url);
  await Promise.all(Array.from({ length: 150 }, (_, i) => sender.publish('b', `${i}`, { qos: 1 })));
  counted(/trunkline_dropped_total\{reason="queue-full"\} 50/);
  const back = await TestClient.connect(edge.url, { clientId: 'bounded', clean: false });
  await back.expect(100);
  await back.roundTrip();
  assert.deepEqual(
    back.texts,
    Array.from({ length: 100 }, (_, i) => `${i}`),
  );
  await Promise.all([back.end(), sender.end()]);
});

test('QoS 2 identifiers that are never released are bounded', async () => {
  const raw = await RawClient.session(edge.port, 'hoarder');
  for (let id = 1; id <= 1_100; id++) raw.send(publishPacket('h', 'x', { qos: 2, packetId: id }));
  await raw.closed;
  counted(/trunkline_connections_closed_total\{reason="receive-maximum-exceeded"\} 1/);
});

test('HTTP on the WebSocket port and garbage on it are answered and survived', async () => {
  const response = await fetch(`http://127.0.0.1:${edge.wsPort}/mqtt`);
  assert.equal(response.status, 426);
  const socket = connect(edge.wsPort, '127.0.0.1');
  socket.on('error', () => {});
  socket.write(Buffer.from([0, 1, 2, 3, 255, 13, 10, 13, 10]));
  await new Promise<void>((resolve) => socket.once('close', () => resolve()).resume());
});

test('a text frame on a WebSocket ends it, for MQTT is binary', async () => {
  const binary = new WebSocket(`ws://127.0.0.1:${edge.wsPort}/mqtt`, 'mqtt');
  await once(binary, 'open');
  binary.send(connectPacket('web'));
  await once(binary, 'message');
  binary.close();
  const text = new WebSocket(`ws://127.0.0.1:${edge.wsPort}/mqtt`, 'mqtt');
  await once(text, 'open');
  text.send(connectPacket('web').toString('latin1'));
  await once(text, 'close', { signal: AbortSignal.timeout(3_000) });
});
