/**
 * Publishers that send many messages in one segment: whatever topics, QoS and protocol versions are
 * mixed, each subscriber gets each message once, in order, and each is acknowledged.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import { publishPacket, RawClient } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

let edge: LocalBroker;

before(async () => {
  edge = await openLocalBroker();
});

after(() => edge.discard());

function burst(topics: readonly string[], qos: 0 | 1 | 2, count: number): Buffer {
  return Buffer.concat(
    Array.from({ length: count }, (_, index) =>
      publishPacket(topics[index % topics.length] as string, `${index}`, {
        ...(qos > 0 ? { qos, packetId: index + 1 } : {}),
      }),
    ),
  );
}

for (const qos of [0, 1, 2] as const) {
  for (const topics of [['run/one'], ['run/a', 'run/b', 'run/c']]) {
    test(`QoS ${qos} over ${topics.length} topics arrives whole and in order at every QoS`, async () => {
      const subscribers = await Promise.all(
        ([0, 1, 2] as const).map(async (granted) => {
          const clientId = `reader-${qos}-${topics.length}-${granted}`;
          const client = await TestClient.connect(edge.url, { clientId, clean: granted !== 2 });
          await client.subscribe('run/#', granted);
          return client;
        }),
      );
      const publisher = await RawClient.session(edge.port, `runs-${qos}-${topics.length}`);
      publisher.send(burst(topics, qos, 300));
      const acknowledged = new Set<number>();
      while (qos > 0 && acknowledged.size < 300) {
        const { type, body } = await publisher.next();
        if (type === (qos === 1 ? 4 : 5)) acknowledged.add(body.readUInt16BE(0));
      }
      const expected = Array.from({ length: 300 }, (_, index) => `${index}`);
      for (const subscriber of subscribers) {
        await until(() => subscriber.received.length >= 300, 'everything arrives');
        assert.deepEqual(
          subscriber.received.map((one) => one.text),
          expected,
        );
        await subscriber.end();
      }
      publisher.socket.destroy();
    });
  }
}

test('a packet identifier that comes twice in one segment is one message', async () => {
  const subscriber = await TestClient.connect(edge.url);
  await subscriber.subscribe('run/twice', 2);
  const publisher = await RawClient.session(edge.port, 'twice');
  const one = publishPacket('run/twice', 'one', { qos: 2, packetId: 7 });
  const two = publishPacket('run/twice', 'two', { qos: 2, packetId: 8 });
  publisher.send(Buffer.concat([one, one, two]));
  publisher.send(publishPacket('run/twice', 'end', { qos: 2, packetId: 9 }));
  await until(() => subscriber.received.some(({ text }) => text === 'end'), 'the end arrives');
  assert.deepEqual(
    subscriber.received.map((each) => each.text),
    ['one', 'two', 'end'],
  );
  await subscriber.end();
  publisher.socket.destroy();
});
