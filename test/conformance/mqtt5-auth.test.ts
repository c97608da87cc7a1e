/** Enhanced authentication of MQTT 5 with a method of the test: sections 3.15 and 4.12. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { plainIdentity } from '../../base/identity.ts';
import type { AuthenticationStep, EnhancedAuthenticate } from '../../broker/authenticate.ts';
import { bytesOf, Client5, type Packet5, told } from '../support/client-5.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';

const proven = plainIdentity({ name: 'proven', method: 'sum' });

/** "sum": the server sends a number, the client answers one more, twice. */
const sums: EnhancedAuthenticate = {
  begin(method) {
    if (method !== 'sum') return null;
    let expected: number | null = null;
    let rounds = 0;
    return {
      async step(data): Promise<AuthenticationStep> {
        await new Promise((resolve) => setImmediate(resolve));
        if (data?.toString() === 'fail') throw new Error('the method fails');
        if (expected !== null && data?.[0] !== expected) return { kind: 'refused' };
        if (rounds === 2) return { kind: 'accepted', data: Buffer.of(99), identity: proven };
        rounds++;
        expected = rounds * 10 + 1;
        return { kind: 'challenge', data: Buffer.of(rounds * 10) };
      },
    };
  },
};

let edge: LocalBroker;

before(async () => {
  edge = await openLocalBroker({}, undefined, sums);
});

after(async () => {
  await edge.discard();
});

const method = { authenticationMethod: 'sum' };

function auth(reasonCode: number, data?: Buffer): Record<string, unknown> {
  const properties = data === undefined ? method : { ...method, authenticationData: data };
  return { cmd: 'auth', reasonCode, properties };
}

function dataOf({ properties }: Packet5): number | undefined {
  return (properties?.['authenticationData'] as Buffer | undefined)?.[0];
}

/** Answers challenges until something else comes. */
async function answer(client: Client5, first: Packet5): Promise<Packet5> {
  let packet = first;
  while (packet.cmd === 'auth' && packet.reasonCode === 0x18) {
    assert.equal(packet.properties?.['authenticationMethod'], 'sum');
    client.send(auth(0x18, Buffer.of((dataOf(packet) ?? 0) + 1)));
    packet = await client.next();
  }
  return packet;
}

async function connected(clientId: string): Promise<Client5> {
  const client = await Client5.open(edge.port);
  const connack = await answer(client, await client.connect(clientId, { properties: method }));
  assert.deepEqual([connack.cmd, connack.reasonCode], ['connack', 0]);
  return client;
}

test('CONNACK follows challenge and response, with the method and its last data [MQTT-4.12.0-5]', async () => {
  const client = await Client5.open(edge.port);
  const connack = await answer(client, await client.connect('ok', { properties: method }));
  assert.equal(connack.reasonCode, 0);
  assert.equal(told(connack, 'authenticationMethod'), 'sum');
  assert.equal(dataOf(connack), 99);
  const facts = [...edge.broker.localDelivery.sessions()];
  assert.equal(facts.find(({ clientId }) => clientId === 'ok')?.username, 'proven');
  await client.disconnect();
});

test('a method that is not offered is refused with 0x8c [MQTT-4.12.0-1]', async () => {
  const client = await Client5.open(edge.port);
  const connack = await client.connect('no', { properties: { authenticationMethod: 'SCRAM' } });
  assert.deepEqual([connack.cmd, connack.reasonCode], ['connack', 0x8c]);
  await client.closed;
  const plain = await openLocalBroker();
  const other = await Client5.open(plain.port);
  assert.equal((await other.connect('no', { properties: method })).reasonCode, 0x8c);
  await other.closed;
  await plain.discard();
});

test('a wrong response is refused with 0x87', async () => {
  const client = await Client5.open(edge.port);
  await client.connect('wrong', { properties: method });
  client.send(auth(0x18, Buffer.of(7)));
  const connack = await client.next();
  assert.deepEqual([connack.cmd, connack.reasonCode], ['connack', 0x87]);
  await client.closed;
});

test('a method that fails lets nobody in', async () => {
  const client = await Client5.open(edge.port);
  await client.connect('fails', { properties: method });
  client.send(auth(0x18, Buffer.from('fail')));
  const connack = await client.next();
  assert.deepEqual([connack.cmd, connack.reasonCode], ['connack', 0x80]);
  await client.closed;
});

test('other packets before CONNACK are refused with 0x82 [MQTT-3.1.2-30]', async () => {
  for (const packet of [
    { cmd: 'pingreq' },
    auth(0x19, Buffer.of(11)),
    { cmd: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'other' } },
  ]) {
    const client = await Client5.open(edge.port);
    await client.connect('early', { properties: method });
    client.send(packet);
    const connack = await client.next();
    assert.deepEqual([connack.cmd, connack.reasonCode], ['connack', 0x82]);
    await client.closed;
  }
});

test('a client may leave before it has proved itself [section 4.12]', async () => {
  const client = await Client5.open(edge.port);
  await client.connect('leaves', { properties: method });
  client.send(Buffer.of(0xe0, 0));
  await assert.rejects(client.next(), /closed/);
});

test('a connected client may authenticate anew, and messages go on meanwhile [section 4.12.1]', async () => {
  const client = await connected('anew');
  await client.subscribe('anew');
  client.send(auth(0x19));
  const challenge = await client.next();
  const one = { cmd: 'publish', topic: 'anew', payload: 'x', qos: 0, dup: false, retain: false };
  client.send(one);
  assert.equal(String((await client.nextOf('publish')).payload), 'x');
  const done = await answer(client, challenge);
  assert.deepEqual([done.cmd, done.reasonCode], ['auth', 0]);
  assert.equal(dataOf(done), 99);
  client.send(auth(0x19));
  assert.equal((await answer(client, await client.next())).reasonCode, 0);
  await client.disconnect();
});

test('packets right behind AUTH wait until its step is decided', async () => {
  const client = await connected('behind');
  client.send(Buffer.concat([bytesOf(auth(0x19)), Buffer.of(0xc0, 0)]));
  assert.equal((await client.next()).cmd, 'auth');
  assert.equal((await client.next()).cmd, 'pingresp');
  await client.disconnect();
});

test('a failed re-authentication ends the connection with 0x87 [MQTT-4.12.1-2]', async () => {
  const client = await connected('fails-anew');
  client.send(auth(0x19));
  await client.next();
  client.send(auth(0x18, Buffer.of(0)));
  assert.equal(await client.farewell(), 0x87);
});

test('AUTH that is out of turn or of another method is a protocol error [MQTT-4.12.1-1]', async () => {
  for (const packet of [
    auth(0x18, Buffer.of(1)),
    auth(0x00),
    { cmd: 'auth', reasonCode: 0x19, properties: { authenticationMethod: 'other' } },
    Buffer.of(0xf0, 0),
  ]) {
    const client = await connected('out-of-turn');
    client.send(packet);
    assert.equal(await client.farewell(), 0x82);
  }
});

test('AUTH with flags is malformed [MQTT-3.15.1-1]', async () => {
  const client = await connected('flags');
  client.send(Buffer.concat([Buffer.of(0xf1), bytesOf(auth(0x19)).subarray(1)]));
  assert.equal(await client.farewell(), 0x81);
});
