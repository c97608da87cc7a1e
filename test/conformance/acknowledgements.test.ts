/**
 * Acknowledgements of a client that are sound, unsound and out of turn. MQTT 3.1.1 and MQTT 5,
 * sections 3.4 to 3.7, 4.3 and 4.13.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client5 } from '../support/client-5.ts';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import { packet, RawClient, subscribePacket } from '../support/raw-client.ts';

let edge: LocalBroker;
let publisher: TestClient;

before(async () => {
  edge = await openLocalBroker();
  publisher = await TestClient.connect(edge.url);
});

after(async () => {
  await publisher.end();
  await edge.discard();
});

const firstBytes = { PUBACK: 0x40, PUBREC: 0x50, PUBREL: 0x62, PUBCOMP: 0x70 } as const;
type Ack = keyof typeof firstBytes;

const tails: readonly [string, Ack, number[], number][] = [
  ['a reason code of no packet', 'PUBACK', [0xff], 0x82],
  ['a reason code of PUBREL', 'PUBREC', [0x92], 0x82],
  ['a reason code of PUBACK', 'PUBREL', [0x10], 0x82],
  ['a reason code of PUBACK', 'PUBCOMP', [0x80], 0x82],
  ['two reason strings [section 3.4.2.2.2]', 'PUBACK', [0, 8, 31, 0, 1, 97, 31, 0, 1, 98], 0x82],
  ['a property of CONNECT [section 2.2.2.2]', 'PUBACK', [0, 3, 33, 0, 1], 0x81],
  ['bytes behind its properties', 'PUBCOMP', [0, 0, 0], 0x81],
];

for (const [what, ack, tail, reasonCode] of tails) {
  const title = `${ack} with ${what} ends the connection with 0x${reasonCode.toString(16)}`;
  test(title, async () => {
    const client = await Client5.session(edge.port, 'tail');
    client.send(packet(firstBytes[ack], Buffer.of(0, 1, ...tail)));
    assert.equal(await client.farewell(), reasonCode);
  });
}

/** What the server sends at this QoS, and what the client answers, before the last one is at fault. */
const flows: readonly [string, 1 | 2, readonly Ack[]][] = [
  ['PUBREC for QoS 1', 1, ['PUBREC']],
  ['PUBCOMP for QoS 1', 1, ['PUBCOMP']],
  ['PUBACK for QoS 2', 2, ['PUBACK']],
  ['PUBCOMP before PUBREC', 2, ['PUBCOMP']],
  ['PUBACK for PUBREL', 2, ['PUBREC', 'PUBACK']],
];

for (const [what, qos, acks] of flows) {
  test(`${what} ends the connection, with 0x82 in MQTT 5 [MQTT-4.8.0-1]`, async () => {
    const client = await Client5.session(edge.port, 'flow-5');
    await client.subscribe({ 'flow/x': { qos } });
    await publisher.publish('flow/x', 'x', { qos });
    const id = (await client.nextOf('publish')).messageId as number;
    for (const ack of acks) client.send(packet(firstBytes[ack], Buffer.of(id >> 8, id & 255)));
    assert.equal(await client.farewell(), 0x82);

    const older = await RawClient.session(edge.port, 'flow-4');
    older.send(subscribePacket(1, 'flow/x', qos));
    await older.nextOf(9);
    await publisher.publish('flow/x', 'x', { qos });
    await older.nextOf(3);
    for (const ack of acks) older.send(packet(firstBytes[ack], Buffer.of(0, 1)));
    await older.closed;
  });
}

test('an acknowledgement for nothing that is known is let pass', async () => {
  const client = await Client5.session(edge.port, 'unknown');
  for (const ack of ['PUBACK', 'PUBREC', 'PUBCOMP'] as const) {
    client.send(packet(firstBytes[ack], Buffer.of(0, 9)));
  }
  assert.deepEqual(await client.received(), []);
});

test('PUBREC that comes twice is answered twice', async () => {
  const client = await Client5.session(edge.port, 'twice');
  await client.subscribe({ 'twice/x': { qos: 2 } });
  await publisher.publish('twice/x', 'x', { qos: 2 });
  const { messageId } = await client.nextOf('publish');
  client.send({ cmd: 'pubrec', messageId });
  client.send({ cmd: 'pubrec', messageId });
  assert.equal((await client.nextOf('pubrel')).messageId, messageId);
  assert.equal((await client.nextOf('pubrel')).messageId, messageId);
  client.send({ cmd: 'pubcomp', messageId });
  assert.deepEqual(await client.received(), []);
});
