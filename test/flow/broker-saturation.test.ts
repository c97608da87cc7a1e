/** A spool that is full: QoS 1 publishers wait, everything else goes on, and nobody is blamed. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import { connectPacket, packetIdOf, publishPacket, RawClient } from '../support/raw-client.ts';

let edge: LocalBroker;

before(async () => {
  edge = await openLocalBroker({ limits: { spool_bytes: 100_000 } });
});

after(() => edge.discard());

test('publishers wait without being timed out, QoS 0 goes on, and all is well after relief', async () => {
  const filling = await TestClient.connect(edge.url);
  const filler = 'x'.repeat(20_000);
  while (!edge.spool.isSaturated) await filling.publish('full/a', filler, { qos: 1 });

  const waiting = await RawClient.open(edge.port);
  waiting.send(connectPacket('waiting', { keepAlive: 1 }));
  await waiting.nextOf(2);
  waiting.send(publishPacket('full/b', 'patient', { qos: 1, packetId: 5 }));
  // Longer than one and a half keep alives [MQTT-3.1.2-24]: only time itself can show this.
  const waited = new Promise<'waited'>((resolve) => setTimeout(() => resolve('waited'), 2_500));
  const answer = waiting.next().then((one) => one.type);
  assert.equal(await Promise.race([answer, waiting.closed, waited]), 'waited');

  const other = await TestClient.connect(edge.url);
  await other.subscribe('calm', 0);
  await other.publish('calm', 'still here');
  await other.expect(1);

  for (let lane = 0; lane < 4; lane++) {
    edge.spool.uplink.acknowledge(lane, edge.spool.uplink.newestOf(lane));
  }
  assert.equal(await answer, 4);
  waiting.send(publishPacket('full/b', 'again', { qos: 1, packetId: 6 }));
  assert.equal(packetIdOf(await waiting.nextOf(4)), 6);
  waiting.destroy();
  await Promise.all([filling.end(), other.end()]);
});

test('a retained message waits for room at every QoS: it never goes up unnumbered', async () => {
  const filling = await TestClient.connect(edge.url);
  const filler = 'x'.repeat(20_000);
  while (!edge.spool.isSaturated) await filling.publish('full/c', filler, { qos: 1 });

  const writer = await TestClient.connect(edge.url);
  const watcher = await TestClient.connect(edge.url);
  await watcher.subscribe('full/state', 0);
  await writer.publish('full/state', 'on', { retain: true });
  await watcher.roundTrip();
  assert.deepEqual(watcher.texts, []);

  for (let lane = 0; lane < 4; lane++) {
    edge.spool.uplink.acknowledge(lane, edge.spool.uplink.newestOf(lane));
  }
  await watcher.expect(1);
  assert.deepEqual(watcher.texts, ['on']);
  assert.ok(edge.offered.every((publication) => !publication.retain));
  await Promise.all([filling.end(), writer.end(), watcher.end()]);
});
