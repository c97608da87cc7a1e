/**
 * The engine under two cores goes away, and loses a stream, while edges publish: readiness and health
 * tell it, nothing acknowledged is lost, and what edges retain goes up again.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connect } from '@nats-io/transport-node';
import { interested, metric, urlOf } from '../support/fleet.ts';
import { MixedPublisher, MixedSubscriber } from '../support/mixed-load.ts';
import { startEdgeOf, startNatsCore } from '../support/nats-fleet.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import type { RunningProcess } from '../support/processes.ts';
import { Random } from '../support/random.ts';
import { until } from '../support/until.ts';

let server: NatsServer;
let cores: RunningProcess[];
let edges: RunningProcess[];
let publisher: MixedPublisher;
let subscriber: MixedSubscriber;

before(async () => {
  server = await startNats();
  const servers = [server.url];
  cores = await Promise.all(['core-1', 'core-2'].map((id) => startNatsCore({ id, servers })));
  edges = await Promise.all(cores.map((core, i) => startEdgeOf([core], `edge-${'ab'[i]}`)));
  const [a, b] = edges as [RunningProcess, RunningProcess];
  subscriber = await MixedSubscriber.open(urlOf(b), 'receiver');
  await interested(cores[1]!, 'edge-b', 1);
  publisher = new MixedPublisher(urlOf(a), 'sender', Random.fromEnvironment());
  publisher.start();
  await publisher.ackedMore(100);
});

after(async () => {
  publisher.client.end(true);
  await subscriber.end();
  await Promise.all([...edges, ...cores].map((one) => one.kill()));
});

async function readiness(core: RunningProcess): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${core.port('http')}/readyz`);
  return { status: response.status, text: await response.text() };
}

const uplinked = () => metric(cores[0]!, 'trunkline_uplinked_total');

test('while the engine is away a core is not ready and edges keep what they accept; then it goes on', async () => {
  assert.equal((await readiness(cores[0]!)).status, 200);
  await server.kill();
  await until(async () => (await readiness(cores[0]!)).status === 503, 'the core is not ready');
  assert.match((await readiness(cores[0]!)).text, /NATS/);
  assert.equal(await metric(cores[0]!, 'trunkline_engine_up'), 0);
  await publisher.ackedMore(100);
  const before = await uplinked();
  await server.start();
  await until(async () => (await readiness(cores[0]!)).status === 200, 'the core is ready');
  await until(async () => (await uplinked()) > before + 50, 'the log takes more');
});

const rulesOf = (core: RunningProcess) => `http://127.0.0.1:${core.port('http')}/v1/rules`;

test('streams that are deleted under load are made again, and edges send what they retain', async (t) => {
  const rules = [
    { direction: 'up', filter: 'never/#', deny: true },
    { direction: 'up', filter: '#' },
  ];
  const headers = { 'content-type': 'application/json' };
  await fetch(rulesOf(cores[0]!), { method: 'POST', headers, body: JSON.stringify({ rules }) });
  const connection = await connect({ servers: server.url.replace('nats://', '') });
  for (const stream of ['LOG_0', 'LOG_1', 'LOG_2', 'LOG_3', 'TAB', 'RET']) {
    await connection.request(`$JS.API.STREAM.DELETE.tl1_${stream}`, '', { timeout: 2_000 });
  }
  await connection.close();
  const lost = async () => metric(cores[0]!, 'trunkline_engine_losses_total{kind="deleted"}');
  const other = async () => metric(cores[1]!, 'trunkline_engine_losses_total{kind="deleted"}');
  await until(async () => (await lost()) + (await other()) >= 1, 'the loss is counted');
  const edge = edges[0]!;
  await until(async () => (await metric(edge, 'trunkline_replayed_total')) > 100, 'edges replay');
  await publisher.ackedMore(100);
  await publisher.stop(30_000);
  const books = await subscriber.settle(publisher.acked, 30_000);
  t.diagnostic(
    `acked ${publisher.acked.size}, seen ${subscriber.count}, repeated ${subscriber.repeated}`,
  );
  assert.deepEqual(books, { lost: [], reordered: [], doubled: [] });
  const again = await startNatsCore({ id: 'core-3', servers: [server.url] });
  const shown = await (await fetch(rulesOf(again))).text();
  await again.kill();
  assert.match(shown, /never/);
});
