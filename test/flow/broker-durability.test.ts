/** When QoS 1 and 2 are acknowledged and delivered: after the disk, or at once where that was chosen. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import { publishPacket, RawClient } from '../support/raw-client.ts';
import { slowDisk } from '../support/slow-disk.ts';

let edge: LocalBroker | null = null;

afterEach(async () => {
  slowDisk.restore();
  await edge?.discard();
});

function burst(): Buffer {
  return Buffer.concat([
    publishPacket('d/x', 'one', { qos: 1, packetId: 1 }),
    publishPacket('d/x', 'two', { qos: 2, packetId: 2 }),
    publishPacket('d/x', 'retained', { qos: 1, packetId: 3, retain: true }),
  ]);
}

/** In the order of the alphabet: clients hand on QoS 2 when its exchange is over. */
function textsOf(client: TestClient): string[] {
  return client.received.map((one) => one.text).toSorted();
}

const pingreq = Buffer.of(0xc0, 0);

test('on disk: nothing is acknowledged or delivered before the fdatasync', async () => {
  edge = await openLocalBroker();
  const subscriber = await TestClient.connect(edge.url);
  await subscriber.subscribe('d/#', 2);
  const publisher = await RawClient.session(edge.port, 'p');
  const release = slowDisk.hold();
  publisher.send(Buffer.concat([burst(), pingreq]));
  // PINGRESP overtakes what waits for the disk.
  assert.equal((await publisher.next()).type, 13);
  await subscriber.roundTrip();
  assert.equal(subscriber.received.length, 0);
  release();
  const types = [];
  for (let i = 0; i < 3; i++) types.push((await publisher.next()).type);
  assert.deepEqual(types, [4, 5, 4]);
  await subscriber.expect(3);
  await subscriber.end();
  publisher.socket.destroy();
});

test('in memory: all is acknowledged and delivered at once, and written down behind', async () => {
  edge = await openLocalBroker({ edge: { durability: 'memory' } });
  const subscriber = await TestClient.connect(edge.url);
  await subscriber.subscribe('d/#', 2);
  const kept = await TestClient.connect(edge.url, { clientId: 'kept', clean: false });
  await kept.subscribe('d/#', 1);
  await kept.end();
  const publisher = await RawClient.session(edge.port, 'p');
  const release = slowDisk.hold();
  publisher.send(burst());
  const types = [];
  for (let i = 0; i < 3; i++) types.push((await publisher.next()).type);
  assert.deepEqual(types, [4, 5, 4]);
  await subscriber.expect(3);
  assert.deepEqual(textsOf(subscriber), ['one', 'retained', 'two']);
  release();
  // What a kept session is owed outlives an orderly stop.
  const { data } = edge;
  await edge.close();
  edge = await openLocalBroker({ edge: { durability: 'memory' } }, data);
  const back = await TestClient.connect(edge.url, { clientId: 'kept', clean: false });
  await back.expect(3);
  assert.deepEqual(textsOf(back), ['one', 'retained', 'two']);
  await back.end();
  await subscriber.mqtt.endAsync(true);
  publisher.socket.destroy();
});
