/** Two workers and a core: what devices of one worker get from devices of the other. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestClient } from '../support/clients.ts';
import { attached, interested } from '../support/fleet.ts';
import { type RunningProcess, startPair, startProcess } from '../support/processes.ts';
import { until } from '../support/until.ts';
import { idOf } from '../support/workers.ts';

const clients: TestClient[] = [];
let core: RunningProcess;
let edge: RunningProcess;

before(async () => {
  ({ core, edge } = await startPair({ edge: { flags: ['--workers', '2', '--edge-id', 'west'] } }));
  await attached(core, 2);
});

after(async () => {
  await Promise.all(clients.map((client) => client.mqtt.endAsync(true)));
});

async function enter(worker: number, name: string, url = `mqtt://127.0.0.1:${edge.port('mqtt')}`) {
  const client = await TestClient.connect(url, { clientId: idOf(worker, name) });
  clients.push(client);
  return client;
}

const wanted = [0, 0];

async function subscribe(client: TestClient, worker: number, filter: string, qos: 0 | 1 | 2) {
  await client.subscribe(filter, qos);
  wanted[worker - 1]!++;
  await interested(core, `west-${worker}`, wanted[worker - 1]!);
}

for (const qos of [0, 1, 2] as const) {
  test(`QoS ${qos} from one worker to the other, and within one, arrives once each, in order`, async () => {
    const sender = await enter(1, `sender-${qos}`);
    const near = await enter(1, `near-${qos}`);
    const far = await enter(2, `far-${qos}`);
    await subscribe(near, 1, `across/${qos}/+`, qos);
    await subscribe(far, 2, `across/${qos}/+`, qos);
    // QoS 0 goes up once the sender's worker has heard that it is wanted.
    await until(async () => {
      await sender.publish(`across/${qos}/probe`, 'probe', { qos });
      return far.received.length > 0;
    }, 'the filter is known at the other worker');
    const sent = Array.from({ length: 300 }, (_, i) => `${i}`);
    await Promise.all(sent.map((text) => sender.publish(`across/${qos}/t`, text, { qos })));
    for (const receiver of [near, far]) {
      const texts = () => receiver.received.filter((one) => one.topic.endsWith('/t'));
      await until(() => texts().length >= 300, 'all have arrived');
      assert.deepEqual(
        texts().map((one) => one.text),
        sent,
      );
    }
  });
}

test('the core knows each worker as an edge, and how and from where a device came', async () => {
  const url = `ws://127.0.0.1:${edge.port('ws')}/mqtt`;
  for (const worker of [1, 2]) {
    // Twice each: one of them comes by way of the other worker.
    for (const name of ['seen-a', 'seen-b']) {
      const id = idOf(worker, name);
      await enter(worker, name, url);
      const answer = await sessionOf(id);
      assert.equal(answer['edge_id'], `west-${worker}`);
      assert.equal(answer['listener'], 'ws');
      assert.match(`${answer['remote_address']}`, /^127\.0\.0\.1:\d+$/);
    }
  }
});

async function sessionOf(id: string): Promise<Record<string, unknown>> {
  const url = `http://127.0.0.1:${core.port('http')}/v1/sessions/${id}`;
  await until(async () => (await fetch(url)).status === 200, 'the core knows the session');
  const body = (await (await fetch(url)).json()) as Record<string, unknown>;
  return (body['session'] ?? body) as Record<string, unknown>;
}

test('up passes the workers on, and is ready when all are attached', async () => {
  const up = await startProcess('up', { flags: ['--workers', '2'] });
  const url = `http://127.0.0.1:${up.port('http')}/v1/edges`;
  const { edges } = (await (await fetch(url)).json()) as { edges: { edge_id: string }[] };
  assert.deepEqual(edges.map((one) => one.edge_id).toSorted(), ['edge-1-1', 'edge-1-2']);
  const client = await TestClient.connect(`mqtt://127.0.0.1:${up.port('mqtt')}`);
  await client.roundTrip();
  await client.end();
  assert.deepEqual(await up.stop(), { code: 0, signal: null });
});
