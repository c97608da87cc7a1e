/** The edge alone, over real sockets: delivery at every QoS, retained, wills, sessions, takeover. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';

let edge: LocalBroker;
const clients: TestClient[] = [];

before(async () => {
  edge = await openLocalBroker();
});

after(async () => {
  await Promise.all(clients.map((client) => client.mqtt.endAsync(true)));
  await edge.discard();
});

async function connect(options: Parameters<typeof TestClient.connect>[1] = {}, url = edge.url) {
  const client = await TestClient.connect(url, options);
  clients.push(client);
  return client;
}

for (const qos of [0, 1, 2] as const) {
  test(`messages of QoS ${qos} arrive once each and in order`, async () => {
    const [receiver, sender] = [await connect(), await connect()];
    await receiver.subscribe(`order/${qos}/+`, qos);
    const sent = Array.from({ length: 500 }, (_, i) => `${i}`);
    await Promise.all(sent.map((text) => sender.publish(`order/${qos}/a`, text, { qos })));
    const received = await receiver.expect(500);
    await receiver.roundTrip();
    assert.deepEqual(receiver.texts, sent);
    assert.ok(received.every((item) => item.qos === qos && !item.dup && !item.retain));
  });
}

test('a delivery has the lower of the QoS of the publication and the best matching grant', async () => {
  const [receiver, sender] = [await connect(), await connect()];
  await receiver.subscribe('overlap/#', 0);
  await receiver.subscribe('overlap/+', 1);
  await sender.publish('overlap/a', 'two', { qos: 2 });
  await receiver.expect(1);
  await receiver.roundTrip();
  assert.deepEqual(
    receiver.received.map(({ qos, text }) => [qos, text]),
    [[1, 'two']],
  );
});

test('a wildcard at the first level does not see topics that begin with $', async () => {
  const receiver = await connect();
  assert.deepEqual(await receiver.subscribe(['#', '$SYS/#'], 0), [0, 0]);
});

test('a retained message reaches a late subscriber with the retain flag and a present one without', async () => {
  const [early, sender] = [await connect(), await connect()];
  await early.subscribe('kept/+/state', 1);
  await sender.publish('kept/lamp/state', 'on', { qos: 1, retain: true });
  await early.expect(1);
  assert.equal(early.received[0]?.retain, false);
  const late = await connect();
  await late.subscribe('kept/#', 1);
  await late.expect(1);
  assert.deepEqual([late.received[0]?.text, late.received[0]?.retain], ['on', true]);
});

test('an empty retained payload deletes the retained message', async () => {
  const sender = await connect();
  await sender.publish('kept/gone', 'x', { qos: 1, retain: true });
  await sender.publish('kept/gone', '', { qos: 1, retain: true });
  const late = await connect();
  await late.subscribe('kept/gone', 1);
  await late.roundTrip();
  assert.deepEqual(late.received, []);
});

test('a will is published when the connection is cut, and not after DISCONNECT', async () => {
  const watcher = await connect();
  await watcher.subscribe('will/+', 1);
  const will = (name: string) => ({
    will: { topic: `will/${name}`, payload: Buffer.from('gone'), qos: 1 as const, retain: false },
  });
  const polite = await connect(will('polite'));
  await polite.end();
  const rude = await connect(will('rude'));
  await rude.cut();
  await watcher.expect(1);
  await watcher.roundTrip();
  assert.deepEqual(
    watcher.received.map((item) => item.topic),
    ['will/rude'],
  );
});

test('a kept session gets in order what was published while it was away', async () => {
  const options = { clientId: 'away', clean: false };
  const first = await connect(options);
  assert.equal(first.sessionPresent, false);
  await first.subscribe('away/#', 2);
  await first.end();
  const sender = await connect();
  const sent: string[] = [];
  for (let i = 0; i < 200; i++) {
    await sender.publish(`away/${i % 3}`, `${i}`, { qos: i % 2 === 0 ? 1 : 2 });
    sent.push(`${i}`);
  }
  const second = await connect(options);
  assert.equal(second.sessionPresent, true);
  await second.expect(200);
  await second.roundTrip();
  // MQTT.js hands on QoS 2 at PUBREL, QoS 1 at PUBLISH: order holds within each.
  for (const qos of [1, 2]) {
    const texts = second.received.filter((item) => item.qos === qos).map((item) => item.text);
    assert.deepEqual(
      texts,
      sent.filter((_, i) => (i % 2 === 0 ? 1 : 2) === qos),
    );
  }
});

test('a clean connect discards the kept session', async () => {
  const first = await connect({ clientId: 'fresh', clean: false });
  await first.subscribe('fresh/#', 1);
  await first.end();
  const clean = await connect({ clientId: 'fresh', clean: true });
  assert.equal(clean.sessionPresent, false);
  await clean.end();
  const again = await connect({ clientId: 'fresh', clean: false });
  assert.equal(again.sessionPresent, false);
});

test('a second connect with the same client identifier ends the first', async () => {
  const first = await connect({ clientId: 'twin' });
  const closed = new Promise<void>((resolve) => first.mqtt.once('close', resolve));
  const second = await connect({ clientId: 'twin' });
  await closed;
  await second.roundTrip();
});

test('of many connects at once with one client identifier one survives', async () => {
  const attempts = await Promise.allSettled(
    Array.from({ length: 60 }, () => connect({ clientId: 'crowd' })),
  );
  const won = attempts.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  await Promise.all(
    won
      .slice(0, -1)
      .map((client) =>
        client.mqtt.connected
          ? new Promise<void>((resolve) => client.mqtt.once('close', resolve))
          : Promise.resolve(),
      ),
  );
  const alive = won.filter((client) => client.mqtt.connected);
  assert.equal(alive.length, 1);
  await alive[0]!.roundTrip();
});

test('unsubscribe ends delivery', async () => {
  const [receiver, sender] = [await connect(), await connect()];
  await receiver.subscribe('stop/#', 1);
  await sender.publish('stop/a', 'one', { qos: 1 });
  await receiver.expect(1);
  await receiver.mqtt.unsubscribeAsync('stop/#');
  await sender.publish('stop/a', 'two', { qos: 1 });
  await receiver.roundTrip();
  assert.deepEqual(receiver.texts, ['one']);
});

test('MQTT over WebSocket and MQTT 3.1 clients meet on the same topics', async () => {
  const ws = await connect({}, `ws://127.0.0.1:${edge.wsPort}/mqtt`);
  const old = await connect({ protocolId: 'MQIsdp', protocolVersion: 3, clientId: 'old' });
  await ws.subscribe('mixed', 1);
  await old.publish('mixed', 'hello', { qos: 1 });
  await ws.expect(1);
  assert.deepEqual(ws.texts, ['hello']);
});

test('publishing to a reserved topic ends the connection and is counted', async () => {
  const sender = await connect();
  const closed = new Promise<void>((resolve) => sender.mqtt.once('close', resolve));
  sender.mqtt.publish('$SYS/fake', 'x', { qos: 0 });
  await closed;
  assert.match(edge.metrics.text(), /trunkline_refused_total\{reason="not-authorized"\} 1/);
});

test('a large message passes whole', async () => {
  const [receiver, sender] = [await connect(), await connect()];
  await receiver.subscribe('large', 1);
  const text = 'x'.repeat(900_000);
  await sender.publish('large', text, { qos: 1 });
  await receiver.expect(1);
  assert.equal(receiver.received[0]?.text.length, text.length);
});
