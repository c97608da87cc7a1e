/**
 * A core whose data is gone, under load. What it had acknowledged to one edge, and had not passed on
 * to another, goes up again from what the first one retains; what the other had before is known there
 * by where it entered, so that a kept session gets nothing twice.
 */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  attached,
  type Fleet,
  interested,
  metric,
  restartCore,
  startEdge,
  startFleet,
  urlOf,
} from '../support/fleet.ts';
import { LoadPublisher, LoadSubscriber } from '../support/load.ts';
import { until } from '../support/until.ts';

let fleet: Fleet;
const loads: { qos: 1 | 2; publisher: LoadPublisher; subscriber: LoadSubscriber }[] = [];

before(async () => {
  fleet = await startFleet(2);
});

after(async () => {
  for (const { publisher, subscriber } of loads) {
    publisher.client.end(true);
    subscriber.client.end(true);
  }
  await Promise.all([...fleet.edges, fleet.core].map((one) => one.kill()));
});

const more = (count: number) =>
  Promise.all(loads.map(({ publisher }) => publisher.ackedMore(count)));

test('a core that loses its data under load costs nothing of what edges retain, and doubles nothing', async (t) => {
  const [a, b] = fleet.edges as [Fleet['core'], Fleet['core']];
  for (const qos of [1, 2] as const) {
    const subscription = { filter: `gone/${qos}/#`, qos };
    const subscriber = await LoadSubscriber.open(urlOf(b), `receiver-${qos}`, subscription);
    loads.push({ qos, publisher: new LoadPublisher(urlOf(a), `sender-${qos}`), subscriber });
  }
  await interested(fleet.core, 'edge-b', 2);
  for (const { publisher, qos } of loads) publisher.start(`gone/${qos}/x`, qos);
  await more(100);
  // While the other edge is away, the core alone has what the first one sends.
  await b.kill();
  await more(100);
  await until(
    async () => (await metric(a, 'trunkline_uplinked_total')) >= 400,
    'the core has some',
  );
  await fleet.core.kill();
  await rm(join(fleet.core.data, 'core'), { recursive: true });
  fleet.core = await restartCore(fleet.core);
  fleet.edges[1] = await startEdge(fleet.core, 'edge-b', b);
  await attached(fleet.core, 2);
  await more(100);
  for (const { publisher, qos, subscriber } of loads) {
    await publisher.stop();
    const books = await subscriber.settle(publisher.acked);
    t.diagnostic(`QoS ${qos}: acked ${publisher.acked.size}, doubled ${subscriber.doubled}`);
    assert.deepEqual(books, { lost: 0, reordered: 0 });
    if (qos === 2) assert.equal(subscriber.doubled, 0);
  }
  const replayed = await metric(a, 'trunkline_replayed_total');
  assert.ok(replayed >= 400, `${replayed} went up again`);
});
