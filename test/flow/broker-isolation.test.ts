/**
 * What one client does must not hold up the others. Told by counts, not by milliseconds: how much of
 * a flood, a replay or a storm the broker deals with while a message of two bystanders goes there
 * and one comes back. Broker and clients share this process's event loop, so the count for a round
 * trip is that of a few turns.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import {
  connectPacket,
  payloadOf,
  publishPacket,
  RawClient,
  subscribePacket,
} from '../support/raw-client.ts';
import { until } from '../support/until.ts';

/** Turns that a round trip may take; it takes about three. */
const turnsMax = 12;

let edge: LocalBroker;
let clients: RawClient[];

beforeEach(async () => {
  edge = await openLocalBroker({ limits: { output_bytes: 200_000, drain_seconds: 1 } });
  clients = [];
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  await edge.discard();
});

async function session(clientId: string): Promise<RawClient> {
  const client = await RawClient.session(edge.port, clientId);
  clients.push(client);
  return client;
}

async function subscriber(clientId: string, filter: string, qos = 0): Promise<RawClient> {
  const client = await session(clientId);
  client.send(subscribePacket(1, filter, qos));
  await client.nextOf(9);
  return client;
}

/** Sends messages between two bystanders, one after the other, as long as something goes on. Returns
 * how much of it, by this count, went on during each. */
async function roundTrips(
  { from, to }: { readonly from: RawClient; readonly to: RawClient },
  { count, goesOn }: { readonly count: () => number; readonly goesOn: () => boolean },
): Promise<number[]> {
  const during: number[] = [];
  for (let trip = 0; goesOn(); trip++) {
    const before = count();
    from.send(publishPacket('calm', `${trip}`));
    const publish = await to.nextOf(3);
    assert.equal(payloadOf(publish).toString(), `${trip}`);
    during.push(count() - before);
  }
  return during;
}

async function bystanders() {
  return { from: await session('calm-sender'), to: await subscriber('calm-reader', 'calm') };
}

// Of QoS 1, what was waiting for the disk is dealt with beside what comes in.
for (const { qos, slices } of [
  { qos: 0, slices: 1 },
  { qos: 1, slices: 3 },
]) {
  test(`a flood of QoS ${qos} goes on in slices between which others have their turn`, async () => {
    const pair = await bystanders();
    await subscriber('flooded', 'flood', 0);
    const flooder = await session('flooder');
    const total = 100_000;
    const packets = Array.from({ length: total }, (_, i) =>
      publishPacket('flood', 'x'.repeat(64), { qos, packetId: (i % 65_535) + 1 }),
    );
    const slice = Math.ceil((16 * 1024) / (packets[0] as Buffer).length) + 1;
    const shareMax = turnsMax * slices * slice;
    const count = () => edge.ledger.acceptedCount;
    flooder.send(Buffer.concat(packets));
    await until(() => count() > 0, 'the flood has begun');
    const during = await roundTrips(pair, { count, goesOn: () => count() < total });
    assert.ok(Math.max(...during) < shareMax, `${during}`);
    assert.ok(during.length >= total / shareMax, `${during}`);
  });
}

test('many retained messages for one client leave others their turn', async () => {
  const total = 20_000;
  const retainer = await session('retainer');
  const packets = Array.from({ length: total }, (_, i) =>
    publishPacket(`r/${i}`, 'x', { qos: 1, packetId: i + 1, retain: true }),
  );
  retainer.send(Buffer.concat(packets));
  await until(() => edge.ledger.acceptedCount === total, 'all are retained');
  const pair = await bystanders();
  const reader = await session('reader-of-all');
  const count = () => edge.ledger.deliveredCount;
  reader.send(subscribePacket(1, 'r/#', 0));
  await reader.nextOf(9);
  const during = await roundTrips(pair, { count, goesOn: () => count() < total });
  assert.ok(Math.max(...during) < turnsMax * 500, `${during}`);
  assert.ok(during.length > 2, `${during}`);
});

test('clients that connect all at once are let in one a turn', async () => {
  const total = 300;
  const pair = await bystanders();
  const storm = await Promise.all(
    Array.from({ length: total }, async () => RawClient.open(edge.port)),
  );
  clients.push(...storm);
  const open = `\ntrunkline_connections ${total + clients.length - storm.length}\n`;
  await until(() => edge.metrics.text().includes(open), 'the edge has taken all connections');
  const count = () => edge.broker.localDelivery.stats().connectedSessions;
  const before = count();
  for (const [i, client] of storm.entries()) client.send(connectPacket(`storm-${i}`));
  const during = await roundTrips(pair, { count, goesOn: () => count() < before + total });
  assert.ok(Math.max(...during) <= turnsMax, `${during}`);
  assert.ok(during.length >= total / turnsMax, `${during}`);
  const answers = await Promise.all(storm.map((client) => client.next()));
  assert.ok(answers.every(({ type, body }) => type === 2 && body[1] === 0));
});

test('a subscriber that stops reading costs others nothing, and is let go', async () => {
  const total = 2_000;
  const frozen = await subscriber('frozen', 'loud');
  frozen.socket.pause();
  const [sender, other] = await Promise.all([
    TestClient.connect(edge.url),
    TestClient.connect(edge.url),
  ]);
  await other.subscribe('loud', 0);
  const padding = 'x'.repeat(10_000);
  for (let i = 0; i < total; i++) {
    await sender.publish('loud', `${i} ${padding}`);
    // At the pace of who reads, so that all that is dropped is the other's.
    if (i % 5 === 0) await other.expect(i + 1);
  }
  await other.expect(total);
  const numbers = other.texts.map((text) => Number(text.split(' ')[0]));
  assert.deepEqual(
    numbers,
    Array.from({ length: total }, (_, i) => i),
  );
  assert.match(edge.metrics.text(), /trunkline_dropped_total\{reason="slow-reader"\} [1-9]/);
  await until(
    () => edge.metrics.text().includes('connections_closed_total{reason="slow-reader"} 1'),
    'the one that does not read is disconnected',
  );
  await Promise.all([sender.end(), other.end()]);
});
