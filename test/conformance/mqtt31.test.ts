/** What MQTT 3.1 has otherwise than 3.1.1. Source: MQTT 3.1, section 3. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import { packet, publishPacket, RawClient } from '../support/raw-client.ts';
import { cleanFlag, text, types } from './wire.ts';

let edge: LocalBroker;

before(async () => {
  edge = await openLocalBroker();
});

after(async () => {
  await edge.discard();
});

/** CONNECT with these flags, and the first byte of the packet. */
async function connack(clientId: string, flags: number, first = 0x10): Promise<number[]> {
  const client = await RawClient.open(edge.port);
  client.send(packet(first, text('MQIsdp'), Buffer.of(3, flags, 0, 60), text(clientId)));
  const { type, body } = await client.next();
  assert.equal(type, 2);
  client.destroy();
  await client.closed;
  return [...body];
}

test('CONNACK does not tell of the session, as its byte is reserved', async () => {
  assert.deepEqual(await connack('kept-31', 0), [0, 0]);
  assert.deepEqual(await connack('kept-31', 0), [0, 0]);
});

test('a client without an identifier is refused with 2', async () => {
  assert.deepEqual(await connack('', cleanFlag), [0, 2]);
});

test('bits of CONNECT that are not used may have any value', async () => {
  assert.deepEqual(await connack('unused', cleanFlag | 1), [0, 0]);
  assert.deepEqual(await connack('unused', cleanFlag, 0x14), [0, 0]);
});

test('PUBREL that is sent again has the DUP flag', async () => {
  const client = await RawClient.open(edge.port);
  const flags = Buffer.of(3, cleanFlag, 0, 60);
  client.send(packet(0x10, text('MQIsdp'), flags, text('releases')));
  client.send(publishPacket('a', 'x', { qos: 2, packetId: 1 }));
  await client.nextOf(types.pubrec);
  for (const first of [0x62, 0x6a]) {
    client.send(packet(first, Buffer.of(0, 1)));
    assert.deepEqual([...(await client.nextOf(types.pubcomp)).body], [0, 1]);
  }
  client.destroy();
});
