/**
 * One of two cores is cut off from NATS under mixed load, while its edge still reaches it: what the core
 * sends goes nowhere, and nothing says so. The edge goes to the other core, and what was acknowledged
 * arrives, in order, at QoS 2 once. When the cut is healed, the core serves again.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { interested, metric, urlOf } from '../support/fleet.ts';
import { MixedPublisher, MixedSubscriber } from '../support/mixed-load.ts';
import { startEdgeOf, startNatsCore } from '../support/nats-fleet.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import type { RunningProcess } from '../support/processes.ts';
import { startProxy, type TcpProxy } from '../support/proxy.ts';
import { Random } from '../support/random.ts';
import { until } from '../support/until.ts';

let server: NatsServer;
let proxy: TcpProxy;
let cores: RunningProcess[];
let edges: RunningProcess[];
let publisher: MixedPublisher;
let subscriber: MixedSubscriber;

before(async () => {
  server = await startNats();
  proxy = await startProxy(server.port);
  const servers = [`nats://127.0.0.1:${proxy.port}`];
  cores = [
    await startNatsCore({ id: 'core-1', servers }),
    await startNatsCore({ id: 'core-2', servers: [server.url] }),
  ];
  const b = await startEdgeOf([cores[1]!], 'edge-b');
  // So that the edge that knows both begins at the one that is to be cut off.
  await drain({ within_ms: 100 });
  const a = await startEdgeOf(cores, 'edge-a');
  edges = [a, b];
  await until(async () => (await attachedTo(cores[0]!)) === 1, 'the edge is attached');
  await drain({ undo: true });
  subscriber = await MixedSubscriber.open(urlOf(b), 'receiver');
  await interested(cores[1]!, 'edge-b', 1);
  publisher = new MixedPublisher(urlOf(a), 'sender', Random.fromEnvironment());
  publisher.start();
  await publisher.ackedMore(50);
});

after(async () => {
  publisher?.client.end(true);
  await subscriber?.end();
  await Promise.all([...(edges ?? []), ...(cores ?? [])].map((one) => one.kill()));
  proxy?.close();
});

async function isReady(core: RunningProcess): Promise<boolean> {
  return (await fetch(`http://127.0.0.1:${core.port('http')}/readyz`)).ok;
}

async function drain(body: object): Promise<void> {
  const url = `http://127.0.0.1:${cores[1]!.port('http')}/v1/core:drain`;
  const headers = { 'content-type': 'application/json' };
  await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) });
}

const attachedTo = (core: RunningProcess) => metric(core, 'trunkline_edges');
const backlog = () => metric(edges[0]!, 'trunkline_spool_backlog');

test('a core that is cut off from NATS loses its edge to the other one, and nothing else', {
  timeout: 120_000,
}, async (t) => {
  const begun = performance.now();
  proxy.deafen('target');
  proxy.refuse(true);
  await until(async () => (await attachedTo(cores[1]!)) === 2, 'the edge has moved', 30_000);
  await publisher.ackedMore(50);
  await until(async () => (await backlog()) < 100, 'what was kept is sent', 30_000);
  t.diagnostic(
    `cut off, flowing by the other core ${Math.round(performance.now() - begun)} ms later`,
  );
  assert.equal(await isReady(cores[0]!), false);
  const healing = performance.now();
  proxy.refuse(false);
  proxy.cut();
  await until(() => isReady(cores[0]!), 'the core is ready again', 20_000);
  t.diagnostic(`healed, ready ${Math.round(performance.now() - healing)} ms later`);
  await publisher.ackedMore(50);
  await publisher.stop(30_000);
  const books = await subscriber.settle(publisher.acked, 30_000);
  t.diagnostic(
    `acked ${publisher.acked.size}, seen ${subscriber.count}, repeated ${subscriber.repeated}`,
  );
  assert.deepEqual(books, { lost: [], reordered: [], doubled: [] });
});
