/**
 * Rules of MQTT 3.1.1 that brokers are known to break, byte by byte where a proper client would hide
 * the difference.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import {
  ackPacket,
  connectPacket,
  packet,
  packetIdOf,
  payloadOf,
  publishPacket,
  RawClient,
  subscribePacket,
} from '../support/raw-client.ts';

let edge: LocalBroker;

before(async () => {
  edge = await openLocalBroker();
});

after(async () => {
  await edge.discard();
});

function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

function subscribeMany(packetId: number, filters: readonly [string, number][]): Buffer {
  const id = Buffer.from([packetId >> 8, packetId & 255]);
  return packet(0x82, id, ...filters.flatMap(([filter, qos]) => [text(filter), Buffer.of(qos)]));
}

function connectWith(flags: number, ...fields: readonly Buffer[]): Buffer {
  return packet(0x10, text('MQTT'), Buffer.of(4, flags, 0, 60), ...fields);
}

async function suback(raw: RawClient): Promise<number[]> {
  return [...(await raw.nextOf(9)).body.subarray(2)];
}

test('SUBACK has one return code for each filter in order, also for one named twice', async () => {
  const raw = await RawClient.session(edge.port, 'suback');
  raw.send(
    subscribeMany(7, [
      ['s/a', 1],
      ['s/b', 2],
      ['s/a', 0],
      ['$queue/g/s', 1],
      ['s/c', 0],
      ['s/a', 2],
    ]),
  );
  assert.deepEqual(await suback(raw), [1, 2, 0, 0x80, 0, 2]);
  // The last one stands, as if each had come in a packet of its own [MQTT-3.8.4-4].
  raw.send(publishPacket('s/a', 'x', { qos: 2, packetId: 1 }));
  const delivered = await raw.nextOf(3);
  assert.equal((delivered.flags >> 1) & 3, 2);
  raw.destroy();
});

test('a refused filter beside a granted one is not stored and does not come back', async () => {
  const first = await RawClient.session(edge.port, 'denied', false);
  first.send(
    subscribeMany(1, [
      ['$share//den/#', 1],
      ['den/ok', 1],
      ['$queue/den', 1],
    ]),
  );
  assert.deepEqual(await suback(first), [0x80, 1, 0x80]);
  first.destroy();
  const back = await TestClient.connect(edge.url, { clientId: 'denied', clean: false });
  assert.equal(back.sessionPresent, true);
  await back.publish('den/other', 'no', { qos: 1 });
  await back.publish('den/ok', 'yes', { qos: 1 });
  await back.expect(1);
  await back.roundTrip();
  assert.deepEqual(back.texts, ['yes']);
  await back.end();
});

test('an invalid filter beside a valid one stores nothing', async () => {
  const first = await RawClient.session(edge.port, 'half-valid', false);
  first.send(
    subscribeMany(1, [
      ['hv/ok', 1],
      ['hv/#/no', 1],
    ]),
  );
  await closed(first);
  const back = await TestClient.connect(edge.url, { clientId: 'half-valid', clean: false });
  await back.publish('hv/ok', 'no', { qos: 1 });
  await back.roundTrip();
  assert.deepEqual(back.texts, []);
  await back.end();
});

/** Rejects when the connection is still open after some seconds. */
async function closed(raw: RawClient): Promise<void> {
  const guard = new AbortController();
  const late = once(AbortSignal.timeout(3_000), 'abort', { signal: guard.signal });
  const isOpen = late.then(
    () => true,
    () => false,
  );
  const stillOpen = await Promise.race([raw.closed.then(() => false), isOpen]);
  guard.abort();
  raw.destroy();
  assert.equal(stillOpen, false, 'the connection is still open');
}

const badText: [string, Buffer][] = [
  [
    'a filter that is not UTF-8',
    packet(0x82, Buffer.of(0, 1), text(Buffer.of(0xc3, 0x28)), Buffer.of(0)),
  ],
  ['a filter with NUL', packet(0x82, Buffer.of(0, 1), text('a\0b'), Buffer.of(0))],
  [
    'UNSUBSCRIBE of a filter that is not UTF-8',
    packet(0xa2, Buffer.of(0, 1), text(Buffer.of(0xff))),
  ],
  ['SUBSCRIBE with packet identifier 0', subscribePacket(0, 'a', 0)],
  ['UNSUBSCRIBE with packet identifier 0', packet(0xa2, Buffer.of(0, 0), text('a'))],
  ['SUBSCRIBE without a filter', packet(0x82, Buffer.of(0, 1))],
  ['UNSUBSCRIBE without a filter', packet(0xa2, Buffer.of(0, 1))],
  ['SUBSCRIBE with QoS 3', subscribePacket(1, 'a', 3)],
  ['SUBSCRIBE with reserved bits', subscribePacket(1, 'a', 0x41)],
  ['SUBSCRIBE with wrong flags', packet(0x80, Buffer.of(0, 1), text('a'), Buffer.of(0))],
  ['SUBSCRIBE with a filter longer than it', packet(0x82, Buffer.of(0, 1, 0, 99, 97, 0))],
  ['SUBSCRIBE without the last QoS', packet(0x82, Buffer.of(0, 1), text('a'))],
  ['PINGREQ with a body', packet(0xc0, Buffer.of(1))],
  ['PINGREQ with flags', packet(0xc1)],
  ['DISCONNECT with flags', packet(0xe1)],
  ['packet type 15', packet(0xf0)],
  ['packet type 0', packet(0x00)],
];

for (const [name, bytes] of badText) {
  test(`${name} closes the connection`, async () => {
    const raw = await RawClient.session(edge.port, `bad-${name}`);
    raw.send(bytes);
    raw.send(Buffer.of(0xc0, 0));
    await closed(raw);
    await assert.rejects(raw.next());
  });
}

const badConnects: [string, Buffer][] = [
  ['a client identifier that is not UTF-8', connectWith(2, text(Buffer.of(0xc3, 0x28)))],
  ['a client identifier with NUL', connectWith(2, text('a\0b'))],
  ['the reserved flag', connectWith(3, text('reserved'))],
  ['a password without a user name', connectWith(0x42, text('pw'), text('secret'))],
  ['a user name that is not UTF-8', connectWith(0x82, text('un'), text(Buffer.of(0xff, 0xfe)))],
  ['a will topic that is not UTF-8', connectWith(6, text('wt'), text(Buffer.of(0xff)), text('x'))],
  ['a will topic with a wildcard', connectWith(6, text('ww'), text('w/#'), text('x'))],
  ['an empty will topic', connectWith(6, text('we'), text(''), text('x'))],
  ['a will topic with NUL', connectWith(6, text('wn'), text('w\0'), text('x'))],
  ['a will of QoS 3', connectWith(6 | 0x18, text('wq'), text('w'), text('x'))],
  ['a will QoS without a will', connectWith(2 | 8, text('wf'))],
  ['a will that is cut off', connectWith(6, text('wc'), text('w'))],
  ['flags of another type', Buffer.concat([Buffer.of(0x11), connectPacket('f').subarray(1)])],
  ['bytes behind its last field', connectWith(2, text('trail'), Buffer.of(1, 2))],
];

for (const [name, bytes] of badConnects) {
  test(`CONNECT with ${name} is not let in`, async () => {
    const raw = await RawClient.open(edge.port);
    raw.send(bytes);
    const answer = await raw.next().catch(() => null);
    if (answer !== null) assert.deepEqual([answer.type, (answer.body[1] ?? 0) > 0], [2, true]);
    await closed(raw);
  });
}

test('a protocol level that is not served is refused with its return code', async () => {
  for (const level of [0, 2, 6, 0x7f]) {
    const raw = await RawClient.open(edge.port);
    raw.send(packet(0x10, text('MQTT'), Buffer.of(level, 2, 0, 60), text('level')));
    const connack = await raw.next();
    assert.deepEqual([connack.type, ...connack.body], [2, 0, 1], `level ${level}`);
    await closed(raw);
  }
});

test('+ matches an empty level, live, queued, retained and after a reconnect', async () => {
  const sender = await TestClient.connect(edge.url);
  await sender.publish('/plus', 'kept', { qos: 1, retain: true });
  const client = await TestClient.connect(edge.url, { clientId: 'plus', clean: false });
  await client.subscribe(['+/plus', 'plus/+/x'], 1);
  await client.expect(1);
  await sender.publish('/plus', 'live', { qos: 1 });
  await sender.publish('plus//x', 'live', { qos: 1 });
  await client.expect(3);
  await client.end();
  await sender.publish('/plus', 'queued', { qos: 1 });
  await sender.publish('plus//x', 'queued', { qos: 1 });
  const back = await TestClient.connect(edge.url, { clientId: 'plus', clean: false });
  await back.expect(2);
  assert.deepEqual(
    [...client.received, ...back.received].map((one) => `${one.topic} ${one.text}`),
    ['/plus kept', '/plus live', 'plus//x live', '/plus queued', 'plus//x queued'],
  );
  await sender.publish('/plus', '', { qos: 1, retain: true });
  await Promise.all([back.end(), sender.end()]);
});

test('a client that only publishes is not cut by keep alive, and a silent one is', async () => {
  const silent = await RawClient.open(edge.port);
  silent.send(connectPacket('silent', { keepAlive: 1 }));
  await silent.nextOf(2);
  const busy = await RawClient.open(edge.port);
  busy.send(connectPacket('busy', { keepAlive: 1 }));
  await busy.nextOf(2);
  let isOpen = true;
  void busy.closed.then(() => {
    isOpen = false;
  });
  const from = performance.now();
  const timer = setInterval(() => busy.send(publishPacket('busy', 'x')), 600);
  await silent.closed;
  const silentMs = performance.now() - from;
  assert.ok(silentMs > 1_000 && silentMs < 4_000, `cut after ${silentMs} ms`);
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  clearInterval(timer);
  assert.equal(isOpen, true);
  busy.destroy();
});

test('a kept session with overlapping filters gets each message of a burst once', async () => {
  const client = await TestClient.connect(edge.url, { clientId: 'overlap', clean: false });
  await client.subscribe(['burst/#', 'burst/+', 'burst/x'], 1);
  const sender = await TestClient.connect(edge.url);
  const sent = Array.from({ length: 300 }, (_, i) => `${i}`);
  await Promise.all(sent.map((one) => sender.publish('burst/x', one, { qos: 1 })));
  await client.expect(300);
  await client.roundTrip();
  assert.deepEqual(client.texts, sent);
  await Promise.all([client.end(), sender.end()]);
});

test('a retained QoS 0 message and a plain one behind it arrive in that order', async () => {
  const watcher = await TestClient.connect(edge.url);
  await watcher.subscribe('rp/#');
  const raw = await RawClient.session(edge.port, 'retained-then-plain');
  const frames: Buffer[] = [];
  const sent: string[] = [];
  for (let i = 0; i < 20; i++) {
    frames.push(publishPacket('rp/x', `${i}`, { retain: i % 2 === 0 }));
    sent.push(`${i}`);
  }
  raw.send(Buffer.concat(frames));
  await watcher.expect(20);
  assert.deepEqual(watcher.texts, sent);
  raw.send(publishPacket('rp/x', '', { retain: true }));
  raw.destroy();
  await watcher.end();
});

test('QoS 1 that QoS 0 overtakes is still delivered', async () => {
  const watcher = await TestClient.connect(edge.url, { clientId: 'overtaken', clean: false });
  await watcher.subscribe('mix/x', 1);
  const raw = await RawClient.session(edge.port, 'mixer');
  const frames: Buffer[] = [];
  for (let i = 1; i <= 50; i++) {
    frames.push(publishPacket('mix/x', `one ${i}`, { qos: 1, packetId: i }));
    frames.push(publishPacket('mix/x', `zero ${i}`));
  }
  raw.send(Buffer.concat(frames));
  await watcher.expect(100);
  await watcher.roundTrip();
  for (const kind of ['one', 'zero']) {
    const got = watcher.texts.filter((one) => one.startsWith(kind));
    assert.deepEqual(
      got,
      Array.from({ length: 50 }, (_, i) => `${kind} ${i + 1}`),
    );
  }
  raw.destroy();
  await watcher.end();
});

test('session present is true for a kept session without subscriptions', async () => {
  const first = await RawClient.open(edge.port);
  first.send(connectPacket('bare', { clean: false }));
  assert.deepEqual([...(await first.nextOf(2)).body], [0, 0]);
  first.destroy();
  await first.closed;
  const second = await RawClient.open(edge.port);
  second.send(connectPacket('bare', { clean: false }));
  assert.deepEqual([...(await second.nextOf(2)).body], [1, 0]);
  second.destroy();
  const clean = await RawClient.open(edge.port);
  clean.send(connectPacket('bare'));
  assert.deepEqual([...(await clean.nextOf(2)).body], [0, 0]);
  clean.destroy();
});

test('two QoS 2 deliveries completed side by side are not sent again', async () => {
  const first = await RawClient.session(edge.port, 'side', false);
  first.send(subscribePacket(1, 'side', 2));
  await first.nextOf(9);
  const sender = await TestClient.connect(edge.url);
  await sender.publish('side', 'a', { qos: 2 });
  await sender.publish('side', 'b', { qos: 2 });
  const ids = [packetIdOf(await first.nextOf(3)), packetIdOf(await first.nextOf(3))];
  first.send(Buffer.concat(ids.map((id) => ackPacket(5, id))));
  await first.nextOf(6);
  await first.nextOf(6);
  first.send(Buffer.concat(ids.toReversed().map((id) => ackPacket(7, id))));
  first.send(Buffer.of(0xc0, 0));
  await first.nextOf(13);
  first.destroy();
  const back = await RawClient.session(edge.port, 'side', false);
  await sender.publish('side', 'c', { qos: 2 });
  assert.equal(payloadOf(await back.next()), 'c');
  back.destroy();
  await sender.end();
});

test('packet identifiers in use are not given out again when they wrap', async () => {
  const raw = await RawClient.session(edge.port, 'wrap');
  raw.send(subscribePacket(1, 'wrap', 1));
  await raw.nextOf(9);
  const sender = await RawClient.session(edge.port, 'wrapper');
  const publish = (count: number) => {
    const one = publishPacket('wrap', 'x', { qos: 1, packetId: 1 });
    sender.send(Buffer.concat(Array.from({ length: count }, () => one)));
  };
  publish(1);
  const held = packetIdOf(await raw.nextOf(3));
  let isReused = false;
  let seen = 0;
  while (seen < 66_000) {
    publish(500);
    for (let i = 0; i < 500; i++, seen++) {
      const id = packetIdOf(await raw.nextOf(3));
      if (id === held || id === 0) isReused = true;
      raw.send(ackPacket(4, id));
    }
  }
  assert.equal(isReused, false);
  raw.destroy();
  sender.destroy();
});
