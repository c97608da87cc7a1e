/** A client's packets take effect in the order in which it sends them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import { packet, publishPacket, RawClient, subscribePacket } from '../support/raw-client.ts';
import { connectWith, text, types } from './wire.ts';

let edge: LocalBroker;

before(async () => {
  edge = await openLocalBroker();
});

after(async () => {
  await edge.discard();
});

for (const qos of [0, 1, 2] as const) {
  test(`what a client retains at QoS ${qos} is retained when it subscribes right behind`, async () => {
    const client = await RawClient.session(edge.port, `retains-${qos}`);
    const topic = `order/${qos}`;
    const message = publishPacket(topic, 'kept', { qos, packetId: 1, retain: true });
    client.send(Buffer.concat([message, subscribePacket(2, topic, 0)]));
    await client.nextOf(types.suback);
    const { flags, body } = await client.nextOf(types.publish);
    assert.deepEqual([flags, String(body)], [1, `\0\x07${topic}kept`]);
  });
}

test('a client that clears what it retained and subscribes right behind gets nothing', async () => {
  const client = await RawClient.session(edge.port, 'clears');
  client.send(publishPacket('order/cleared', 'kept', { qos: 0, retain: true }));
  const cleared = publishPacket('order/cleared', '', { qos: 0, retain: true });
  client.send(Buffer.concat([cleared, subscribePacket(2, 'order/cleared', 0)]));
  await client.nextOf(types.suback);
  client.send(packet(0xc0));
  assert.equal((await client.next()).type, types.pingresp);
});

test('a will of QoS 3 ends the connection without CONNACK [MQTT-3.1.4-1]', async () => {
  const client = await RawClient.open(edge.port);
  client.send(connectWith(0x1e, text('will-3'), text('w'), text('x')));
  await assert.rejects(client.next(), /closed/);
});
