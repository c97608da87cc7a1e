/**
 * The books at rest: whatever becomes of the readers, each accepted message ends for each of them in
 * exactly one counted place, and nothing stays behind.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Client5 } from '../support/client-5.ts';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import { publishPacket, RawClient } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

const perQos = 100;
const text = 'x'.repeat(250);

let edge: LocalBroker;

beforeEach(async () => {
  edge = await openLocalBroker();
});

afterEach(() => edge.discard());

/** Messages that wait for a session, and those in flight. */
function underWay(): { queued: number; inflight: number } {
  const sum = { queued: 0, inflight: 0 };
  for (const { queueMessages, inflightMessages } of edge.broker.localDelivery.sessions()) {
    sum.queued += queueMessages;
    sum.inflight += inflightMessages;
  }
  return sum;
}

function counted(): number {
  const { queued, inflight } = underWay();
  return edge.ledger.deliveredCount + edge.ledger.droppedCount + queued + inflight;
}

/** In runs, by QoS; resolves when all are accepted. */
async function publishAll(): Promise<void> {
  const publisher = await RawClient.session(edge.port, 'publisher');
  const frames = [0, 1, 2].flatMap((qos) =>
    Array.from({ length: perQos }, (_, i) =>
      publishPacket('a/1', text, { qos, packetId: qos * perQos + i + 1 }),
    ),
  );
  publisher.send(Buffer.concat(frames));
  await until(() => edge.ledger.acceptedCount === 3 * perQos, 'all are accepted');
  publisher.destroy();
}

function metric(name: string): number {
  const line = edge.metrics
    .text()
    .split('\n')
    .find((one) => one.startsWith(`${name} `));
  return Number(line?.split(' ')[1]);
}

test('readers that are away, silent, small or share leave the books balanced', async () => {
  const away = { clientId: 'away', clean: false };
  const first = await TestClient.connect(edge.url, away);
  await first.subscribe('a/#', 2);
  await first.end();
  const small = await Client5.session(edge.port, 'small', {
    properties: { maximumPacketSize: 200 },
  });
  await small.subscribe({ 'a/+': { qos: 2 } });
  const silent = await Client5.session(edge.port, 'silent');
  await silent.subscribe({ '#': { qos: 2 } });
  const leaving = await Client5.session(edge.port, 'leaving');
  await leaving.subscribe({ '$share/g/a/#': { qos: 1 } });
  const staying = await TestClient.connect(edge.url, { clientId: 'staying', clean: false });
  await staying.subscribe('$share/g/a/#', 1);

  await publishAll();
  // The three that have the filter for themselves, and the group.
  const deliveries = 3 * perQos * 4;
  assert.equal(counted(), deliveries);

  await Promise.all([small.cut(), silent.cut(), leaving.cut()]);
  const back = await TestClient.connect(edge.url, away);
  await until(() => underWay().queued + underWay().inflight === 0, 'nothing is under way');
  assert.equal(counted(), deliveries);
  assert.equal(back.received.length, 2 * perQos);
  assert.equal(metric('trunkline_dropped_total{reason="packet-too-large"}'), 3 * perQos);
  assert.equal(metric('trunkline_dropped_total{reason="offline-qos0"}'), perQos);
  // What the silent one never acknowledged; what the leaving one did not, the other has had.
  assert.equal(metric('trunkline_dropped_total{reason="session-ended"}'), 2 * perQos);
  assert.equal(metric('trunkline_queued_messages'), 0);
  await Promise.all([back.end(), staying.end()]);
});
