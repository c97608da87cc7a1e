/**
 * SIGKILL under load. A publisher on one edge, a subscriber with a kept session on another, and the
 * core between them: each is killed while messages flow, and started again on its data. What was
 * acknowledged to the publisher must arrive, in order, and at QoS 2 once.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import {
  attached,
  type Fleet,
  interested,
  restartCore,
  startEdge,
  startFleet,
  urlOf,
} from '../support/fleet.ts';
import { LoadPublisher, LoadSubscriber } from '../support/load.ts';

let fleet: Fleet;

beforeEach(async () => {
  fleet = await startFleet(2);
});

afterEach(async () => {
  await Promise.all([...fleet.edges, fleet.core].map((one) => one.kill()));
});

async function killCore(): Promise<void> {
  await fleet.core.kill();
  fleet.core = await restartCore(fleet.core);
}

async function killEdge(index: number): Promise<void> {
  const edge = fleet.edges[index]!;
  await edge.kill();
  fleet.edges[index] = await startEdge(fleet.core, `edge-${'ab'[index]}`, edge);
}

const victims: [string, () => Promise<void>][] = [
  ['the core', killCore],
  ["the publisher's edge", () => killEdge(0)],
  ["the subscriber's edge", () => killEdge(1)],
];

for (const qos of [1, 2] as const) {
  for (const [name, kill] of victims) {
    test(`${name} is killed under QoS ${qos} load: nothing acknowledged is lost`, async (t) => {
      const [a, b] = fleet.edges as [Fleet['core'], Fleet['core']];
      const subscription = { filter: 'load/#', qos } as const;
      const subscriber = await LoadSubscriber.open(urlOf(b), 'receiver', subscription);
      await interested(fleet.core, 'edge-b', 1);
      const publisher = new LoadPublisher(urlOf(a), 'sender');
      publisher.start('load/x', qos);
      for (let round = 0; round < 3; round++) {
        await publisher.ackedMore(300);
        await kill();
      }
      await publisher.ackedMore(300);
      await publisher.stop();
      await attached(fleet.core, 2);
      const { lost, reordered } = await subscriber.settle(publisher.acked);
      const { doubled } = subscriber;
      await subscriber.end();
      t.diagnostic(`acked ${publisher.acked.size} lost ${lost} doubled ${doubled}`);
      assert.deepEqual({ lost, reordered }, { lost: 0, reordered: 0 });
      if (qos === 2) assert.equal(doubled, 0);
    });
  }
}
