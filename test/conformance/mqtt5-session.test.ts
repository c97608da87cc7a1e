/** Sessions of MQTT 5: clean start, session expiry and takeover, sections 3.1.2.4, 3.1.2.11 and 4.1. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client5 } from '../support/client-5.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import { connectPacket, RawClient } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

let edge: LocalBroker;

before(async () => {
  edge = await openLocalBroker();
});

after(async () => {
  await edge.discard();
});

interface Wanted {
  readonly clean?: boolean;
  readonly expiry?: number;
}

async function session(clientId: string, { clean = false, expiry = 0 }: Wanted, at = edge) {
  const client = await Client5.open(at.port);
  const properties = { sessionExpiryInterval: expiry };
  const connack = await client.connect(clientId, { clean, properties });
  assert.equal(connack.reasonCode, 0);
  return { client, isPresent: connack.sessionPresent };
}

test('a session without expiry ends with its connection [section 3.1.2.11.2]', async () => {
  const first = await session('short', {});
  await first.client.disconnect();
  const second = await session('short', { expiry: 60 });
  assert.equal(second.isPresent, false);
  await second.client.disconnect();
});

test('a session with expiry is continued without clean start [MQTT-3.1.2-5]', async () => {
  const first = await session('kept', { expiry: 60 });
  await first.client.cut();
  const second = await session('kept', { expiry: 60 });
  assert.equal(second.isPresent, true);
  await second.client.disconnect();
});

test('clean start discards the session and begins another that is kept [MQTT-3.1.2-4]', async () => {
  const first = await session('clean', { expiry: 60 });
  await first.client.subscribe('clean/#');
  await first.client.disconnect();
  const second = await session('clean', { clean: true, expiry: 60 });
  assert.equal(second.isPresent, false);
  second.client.send({ cmd: 'unsubscribe', messageId: 5, unsubscriptions: ['clean/#'] });
  assert.deepEqual((await second.client.nextOf('unsuback')).granted, [0x11]);
  await second.client.disconnect();
  const third = await session('clean', {});
  assert.equal(third.isPresent, true);
  await third.client.disconnect();
});

test('a session that is continued without expiry ends with that connection', async () => {
  const first = await session('shortened', { expiry: 60 });
  await first.client.disconnect();
  const second = await session('shortened', {});
  assert.equal(second.isPresent, true);
  await second.client.disconnect();
  const third = await session('shortened', { expiry: 60 });
  assert.equal(third.isPresent, false);
  await third.client.disconnect();
});

test('a session is gone when its expiry is over [MQTT-4.1.0-2]', async () => {
  const first = await session('expired', { expiry: 1 });
  await first.client.subscribe('expired/#');
  const heard = edge.heard.length;
  await first.client.disconnect();
  await until(() => edge.heard.slice(heard).includes('removed expired'), 'the session is removed');
  const second = await session('expired', { expiry: 1 });
  assert.equal(second.isPresent, false);
  await second.client.disconnect();
});

test('DISCONNECT may change the expiry [section 3.14.2.2.2]', async () => {
  const first = await session('changed', { expiry: 60 });
  await first.client.disconnect({ sessionExpiryInterval: 0 });
  const second = await session('changed', { expiry: 1 });
  assert.equal(second.isPresent, false);
  await second.client.disconnect({ sessionExpiryInterval: 60 });
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  const third = await session('changed', {});
  assert.equal(third.isPresent, true);
  await third.client.disconnect();
});

test('DISCONNECT with an expiry after none is a protocol error [section 3.14.2.2.2]', async () => {
  const { client } = await session('too-late', {});
  client.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 5 } });
  assert.equal(await client.farewell(), 0x82);
});

test('another connection with the identifier takes over, and the old one is told [MQTT-3.1.4-3]', async () => {
  const first = await session('taken', { expiry: 60 });
  const second = await session('taken', { expiry: 60 });
  assert.equal(await first.client.farewell(), 0x8e);
  assert.equal(second.isPresent, true);
  await second.client.disconnect();
});

test('a session is the same for MQTT 3.1.1 and MQTT 5', async () => {
  const first = await session('both', { expiry: 60 });
  await first.client.disconnect();
  const old = await RawClient.open(edge.port);
  old.send(connectPacket('both', { clean: false }));
  assert.deepEqual([...(await old.nextOf(2)).body], [1, 0]);
  const second = await session('both', {});
  await old.closed;
  assert.equal(second.isPresent, true);
  await second.client.disconnect();
});

test('expiry outlives a crash, and a session without it does not', async () => {
  const kept = await session('crash-kept', { expiry: 60 });
  const ended = await session('crash-ended', { expiry: 60 });
  await ended.client.disconnect();
  const again = await session('crash-ended', {});
  const brief = await session('crash-brief', { expiry: 1 });
  const copy = await mkdtemp(join(tmpdir(), 'trunkline-crash-'));
  await cp(edge.data, copy, { recursive: true });
  const next = await openLocalBroker({}, copy);
  assert.equal((await session('crash-kept', {}, next)).isPresent, true);
  assert.equal((await session('crash-ended', {}, next)).isPresent, false);
  await until(() => next.heard.includes('removed crash-brief'), 'the session is removed');
  await next.discard();
  await rm(copy, { recursive: true, force: true });
  for (const { client } of [kept, again, brief]) await client.disconnect();
});
