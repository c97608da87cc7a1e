/** CONNECT and CONNACK of MQTT 5: sections 3.1 and 3.2. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { bytesOf, Client5, told } from '../support/client-5.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import { packet } from '../support/raw-client.ts';

let edge: LocalBroker;
let strict: LocalBroker;

before(async () => {
  edge = await openLocalBroker();
  strict = await openLocalBroker({
    limits: { session_expiry_seconds: 100, keep_alive_seconds_max: 30, topic_aliases: 0 },
    mqtt5: { response_information: 'replies' },
    auth: {
      users: [{ username: 'ann', password_sha256: createHash('sha256').update('s').digest('hex') }],
    },
  });
});

after(async () => {
  await edge.discard();
  await strict.discard();
});

const ann = { username: 'ann', password: Buffer.from('s') };

function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes]);
}

/** CONNECT by its bytes: flags, properties, and the fields of the payload. */
function connectBytes(flags: number, properties: readonly number[], ...fields: Buffer[]): Buffer {
  const head = Buffer.of(5, flags, 0, 60, properties.length, ...properties);
  return packet(0x10, text('MQTT'), head, ...fields);
}

test('CONNACK tells what the server offers [section 3.2.2.3]', async () => {
  const client = await Client5.open(edge.port);
  const connack = await client.connect('terms');
  assert.equal(connack.reasonCode, 0);
  assert.equal(connack.sessionPresent, false);
  assert.deepEqual(
    { ...connack.properties },
    {
      receiveMaximum: 1_000,
      maximumPacketSize: 1024 * 1024,
      topicAliasMaximum: 64,
      retainAvailable: true,
      wildcardSubscriptionAvailable: true,
      subscriptionIdentifiersAvailable: true,
      sharedSubscriptionAvailable: true,
    },
  );
  await client.disconnect();
});

test('a client that takes only small packets is not told what holds anyway [MQTT-3.1.2-24]', async () => {
  const client = await Client5.open(edge.port);
  const connack = await client.connect('small', { properties: { maximumPacketSize: 20 } });
  assert.equal(connack.reasonCode, 0);
  assert.deepEqual(Object.keys(connack.properties ?? {}), [
    'receiveMaximum',
    'maximumPacketSize',
    'topicAliasMaximum',
  ]);
  await client.disconnect();
});

test('a client without an identifier is told the one it gets [MQTT-3.2.2-16]', async () => {
  const seen = new Set<unknown>();
  for (const cleanStart of [2, 0]) {
    const client = await Client5.open(edge.port);
    client.send(connectBytes(cleanStart, [], text('')));
    const connack = await client.next();
    assert.match(String(told(connack, 'assignedClientIdentifier')), /^[0-9a-zA-Z-]+$/);
    seen.add(told(connack, 'assignedClientIdentifier'));
    await client.disconnect();
  }
  assert.equal(seen.size, 2);
});

test('a longer keep alive than allowed is replaced and told [MQTT-3.2.2-21]', async () => {
  for (const [asked, given] of [
    [0, 30],
    [31, 30],
    [30, undefined],
    [5, undefined],
  ] as const) {
    const client = await Client5.open(strict.port);
    const connack = await client.connect('keep-alive', { ...ann, keepalive: asked });
    assert.equal(told(connack, 'serverKeepAlive'), given);
    await client.disconnect();
  }
});

test('a longer session expiry than allowed is replaced and told [section 3.2.2.3.2]', async () => {
  for (const [asked, given] of [
    [0xffff_ffff, 100],
    [101, 100],
    [100, undefined],
    [0, undefined],
  ] as const) {
    const client = await Client5.open(strict.port);
    const properties = { sessionExpiryInterval: asked };
    const connack = await client.connect('expiry', { ...ann, properties });
    assert.equal(told(connack, 'sessionExpiryInterval'), given);
    await client.disconnect();
  }
});

test('response information is given to who asks, if there is any [MQTT-3.1.2-28]', async () => {
  const asking = { requestResponseInformation: true };
  for (const [broker, properties, given] of [
    [strict, asking, 'replies/a%2Fb%20%2B'],
    [strict, {}, undefined],
    [edge, asking, undefined],
  ] as const) {
    const client = await Client5.open(broker.port);
    const connack = await client.connect('a/b +', { ...ann, properties });
    assert.equal(told(connack, 'responseInformation'), given);
    await client.disconnect();
  }
});

test('wrong credentials are refused with 0x86', async () => {
  const client = await Client5.open(strict.port);
  const connack = await client.connect('who', { username: 'ann', password: Buffer.from('no') });
  assert.equal(connack.reasonCode, 0x86);
  await client.closed;
});

test('a password without a user name is allowed [section 3.1.2.9]', async () => {
  const client = await Client5.open(edge.port);
  client.send(connectBytes(0x42, [], text('password'), text('secret')));
  assert.equal((await client.next()).reasonCode, 0);
  await client.disconnect();
});

const id = text('faulty');
const userProperty = [0x26, 0, 1, 0x61, 0, 1, 0x62];
const faults: readonly [string, Buffer, number][] = [
  ['receive maximum 0', connectBytes(2, [0x21, 0, 0], id), 0x82],
  ['maximum packet size 0', connectBytes(2, [0x27, 0, 0, 0, 0], id), 0x82],
  ['a property twice', connectBytes(2, [0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1], id), 0x82],
  ['request problem information 2', connectBytes(2, [0x17, 2], id), 0x82],
  ['authentication data without a method', connectBytes(2, [0x16, 0, 1, 9], id), 0x82],
  ['a property of PUBLISH', connectBytes(2, [0x23, 0, 1], id), 0x81],
  ['an unknown property', connectBytes(2, [0x7f, 0], id), 0x81],
  ['a property that is cut off', connectBytes(2, [0x11, 0, 0], id), 0x81],
  ['a user property that is not UTF-8', connectBytes(2, [0x26, 0, 1, 0xff, 0, 0], id), 0x81],
  ['the reserved flag [MQTT-3.1.2-3]', connectBytes(3, [], id), 0x81],
  ['a will QoS without a will [MQTT-3.1.2-11]', connectBytes(0x0a, [], id), 0x81],
  ['will retain without a will [MQTT-3.1.2-13]', connectBytes(0x22, [], id), 0x81],
  [
    'a will of QoS 3 [MQTT-3.1.2-12]',
    connectBytes(0x1e, [], id, Buffer.of(0), text('w'), text('x')),
    0x81,
  ],
  ['bytes behind its last field', connectBytes(2, [], id, Buffer.of(1)), 0x81],
  ['an identifier that is not UTF-8', connectBytes(2, [], text(Buffer.of(0xc3, 0x28))), 0x81],
  [
    'flags of another type',
    Buffer.concat([Buffer.of(0x11), connectBytes(2, [], id).subarray(1)]),
    0x81,
  ],
  [
    'a will topic with a wildcard',
    connectBytes(6, [], id, Buffer.of(0), text('w/#'), text('x')),
    0x90,
  ],
  ['an empty will topic', connectBytes(6, [], id, Buffer.of(0), text(''), text('x')), 0x90],
  ['a reserved will topic', connectBytes(6, [], id, Buffer.of(0), text('$SYS/x'), text('x')), 0x87],
  [
    'a will that says it is UTF-8 and is not',
    connectBytes(6, [], id, Buffer.of(2, 1, 1), text('w'), text(Buffer.of(0xff))),
    0x99,
  ],
  [
    'a will delay among its own properties',
    connectBytes(6, [0x18, 0, 0, 0, 1], id, Buffer.of(0), text('w'), text('x')),
    0x81,
  ],
  ['another protocol name', packet(0x10, text('MQTX'), Buffer.of(5, 2, 0, 60, 0), id), 0x84],
];

for (const [what, bytes, reasonCode] of faults) {
  test(`CONNECT with ${what} is refused with 0x${reasonCode.toString(16)}`, async () => {
    const client = await Client5.open(edge.port);
    client.send(bytes);
    const connack = await client.next();
    assert.deepEqual([connack.cmd, connack.reasonCode], ['connack', reasonCode]);
    await client.closed;
  });
}

test('user properties of CONNECT are accepted, also several of one name', async () => {
  const client = await Client5.open(edge.port);
  client.send(connectBytes(2, [...userProperty, ...userProperty], text('user-properties')));
  assert.equal((await client.next()).reasonCode, 0);
  await client.disconnect();
});

test('a refusal says why, but not to who does not want to know [section 3.1.2.11.7]', async () => {
  const will = { topic: 'w/+', payload: Buffer.from('x'), qos: 0, retain: false };
  for (const wanted of [true, false]) {
    const client = await Client5.open(edge.port);
    const properties = { requestProblemInformation: wanted };
    const connack = await client.connect('why', { will, properties });
    assert.equal(connack.reasonCode, 0x90);
    assert.equal(told(connack, 'reasonString'), wanted ? 'The will has a wildcard.' : undefined);
    await client.closed;
  }
});

test('a client that can take no CONNACK is not sent one that is too large [MQTT-3.1.2-24]', async () => {
  const client = await Client5.open(edge.port);
  client.send(connectBytes(2, [0x27, 0, 0, 0, 15], text('tiny')));
  await assert.rejects(client.next(), /closed/);
});

test('a second CONNECT ends the connection with 0x82 [MQTT-3.1.0-2]', async () => {
  const client = await Client5.session(edge.port, 'twice');
  client.send(connectBytes(2, [], text('twice')));
  assert.equal(await client.farewell(), 0x82);
});

test('another packet before CONNECT gets no answer [MQTT-3.1.0-1]', async () => {
  const client = await Client5.open(edge.port);
  client.send(bytesOf({ cmd: 'pingreq' }));
  await assert.rejects(client.next(), /closed/);
});

test('CONNECT in single bytes and packets right behind it are taken', async () => {
  const client = await Client5.open(edge.port);
  const bytes = Buffer.concat([connectBytes(2, [], text('bytewise')), Buffer.of(0xc0, 0)]);
  for (const byte of bytes) client.send([byte]);
  assert.equal((await client.next()).cmd, 'connack');
  assert.equal((await client.next()).cmd, 'pingresp');
  await client.disconnect();
});
