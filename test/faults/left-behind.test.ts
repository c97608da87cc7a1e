/**
 * What a dead process leaves behind for others: the wills of devices that were connected to an edge
 * that was killed, and a fleet whose core comes back without its data.
 */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { TestClient } from '../support/clients.ts';
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
import { until } from '../support/until.ts';

let fleet: Fleet;

beforeEach(async () => {
  fleet = await startFleet(2);
});

afterEach(async () => {
  await Promise.all([...fleet.edges, fleet.core].map((one) => one.kill()));
});

test('an edge that was killed publishes the wills of its devices when it is back', async () => {
  const watcher = await TestClient.connect(urlOf(fleet.edges[1]!));
  await watcher.subscribe('wills/#', 2);
  await interested(fleet.core, 'edge-b', 1);
  const wills = [0, 1, 2].map((qos) => ({ topic: `wills/${qos}`, qos: qos as 0 | 1 | 2 }));
  for (const { topic, qos } of wills) {
    const will = { topic, payload: Buffer.from('gone'), qos, retain: false };
    await TestClient.connect(urlOf(fleet.edges[0]!), { clientId: topic, will });
  }
  await fleet.edges[0]!.kill();
  fleet.edges[0] = await startEdge(fleet.core, 'edge-a', fleet.edges[0]!);
  await watcher.expect(3);
  const came = watcher.received.map(({ topic, qos }) => ({ topic, qos }));
  assert.deepEqual(
    came.sort((a, b) => a.qos - b.qos),
    wills,
  );
  await watcher.end();
});

test('a core that lost its data is taken for a new one, and traffic goes on', async () => {
  const receiver = await TestClient.connect(urlOf(fleet.edges[1]!));
  await receiver.subscribe('lost/#', 1);
  await interested(fleet.core, 'edge-b', 1);
  const sender = await TestClient.connect(urlOf(fleet.edges[0]!));
  await sender.publish('lost/x', 'before', { qos: 1 });
  await receiver.expect(1);
  await until(async () => (await metric(fleet.edges[0]!, 'trunkline_spool_backlog')) === 0, 'up');

  await fleet.core.kill();
  await rm(join(fleet.core.data, 'core'), { recursive: true });
  fleet.core = await restartCore(fleet.core);
  await attached(fleet.core, 2);
  await interested(fleet.core, 'edge-b', 1);
  await sender.publish('lost/x', 'after', { qos: 1 });
  await receiver.expect(2);
  assert.deepEqual(receiver.texts, ['before', 'after']);
  await Promise.all([sender.end(), receiver.end()]);
});

test('an edge that returns after a core lost its data gets what others sent up before it', async () => {
  const options = { clientId: 'patient', clean: false };
  const first = await TestClient.connect(urlOf(fleet.edges[1]!), options);
  await first.subscribe('anew/#', 1);
  await interested(fleet.core, 'edge-b', 1);
  const sender = await TestClient.connect(urlOf(fleet.edges[0]!));
  await sender.publish('anew/x', 'before', { qos: 1 });
  await first.expect(1);
  await first.end();

  const away = fleet.edges[1]!;
  await Promise.all([away.stop(), fleet.core.kill()]);
  await rm(join(fleet.core.data, 'core'), { recursive: true });
  await sender.publish('anew/x', 'meanwhile', { qos: 1 });
  fleet.core = await restartCore(fleet.core);
  await until(async () => (await metric(fleet.edges[0]!, 'trunkline_spool_backlog')) === 0, 'up');
  fleet.edges[1] = await startEdge(fleet.core, 'edge-b', away);
  const back = await TestClient.connect(urlOf(fleet.edges[1]!), options);
  await back.expect(1);
  assert.deepEqual(back.texts, ['meanwhile']);
  await Promise.all([sender.end(), back.end()]);
});
