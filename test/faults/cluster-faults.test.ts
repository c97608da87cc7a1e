/**
 * A cluster of three NATS servers, two cores, two edges, and QoS 0, 1 and 2 mixed from one edge to the
 * other while each of them is killed, and two servers at once: what was acknowledged arrives, in order,
 * at QoS 2 once.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { interested, metric, urlOf } from '../support/fleet.ts';
import { MixedPublisher, MixedSubscriber } from '../support/mixed-load.ts';
import { startEdgeOf, startNatsCore } from '../support/nats-fleet.ts';
import { led, type NatsServer, startNatsCluster } from '../support/nats-server.ts';
import type { RunningProcess } from '../support/processes.ts';
import { Random } from '../support/random.ts';
import { until } from '../support/until.ts';

let cluster: NatsServer[];
let cores: RunningProcess[];
let edges: RunningProcess[];
let subscriber: MixedSubscriber;
let publishers: MixedPublisher[];

const coreOf = (i: number, again?: RunningProcess) =>
  startNatsCore({ id: `core-${i + 1}`, servers: cluster.map(({ url }) => url) }, again);

before(async () => {
  cluster = await startNatsCluster();
  cores = [await coreOf(0), await coreOf(1)];
  edges = await Promise.all([
    startEdgeOf(cores, 'edge-a'),
    startEdgeOf([cores[1]!, cores[0]!], 'edge-b'),
  ]);
  const [a, b] = edges as [RunningProcess, RunningProcess];
  subscriber = await MixedSubscriber.open(urlOf(b), 'receiver');
  await Promise.any(cores.map((core) => interested(core, 'edge-b', 1)));
  const random = Random.fromEnvironment();
  publishers = [0, 1, 2].map((i) => new MixedPublisher(urlOf(a), `sender-${i}`, random.fork()));
  for (const publisher of publishers) publisher.start();
});

after(async () => {
  for (const { client } of publishers ?? []) client.end(true);
  await subscriber?.end();
  await Promise.all([...(edges ?? []), ...(cores ?? [])].map((one) => one.kill()));
});

const more = (count: number) =>
  Promise.all(publishers.map((publisher) => publisher.ackedMore(count)));

/** Resolves when the log takes more, and the publishers' edge has sent what it kept meanwhile. */
async function flowing(): Promise<void> {
  const commits = async () => {
    const counts = await Promise.all(
      cores.map((core) => metric(core, 'trunkline_log_commits_total').catch(() => 0)),
    );
    return Math.max(...counts);
  };
  const before = await commits();
  await until(async () => (await commits()) > before + 20, 'the log takes more', 40_000);
  const backlog = () => metric(edges[0]!, 'trunkline_spool_backlog');
  await until(async () => (await backlog()) < 300, 'what was kept is sent', 40_000);
}

test('cores, servers and edges are killed under mixed load: nothing acknowledged is lost or doubled', {
  timeout: 240_000,
}, async (t) => {
  await more(50);
  await flowing();
  for (const victim of [0, 1]) {
    await cores[victim]!.kill();
    await more(50);
    const begun = performance.now();
    cores[victim] = await coreOf(victim, cores[victim]);
    await flowing();
    t.diagnostic(
      `core ${victim + 1} killed, flowing ${Math.round(performance.now() - begun)} ms later`,
    );
  }
  for (const victim of [0, 1, 2]) {
    const server = cluster[victim]!;
    const begun = performance.now();
    await server.kill();
    await flowing();
    t.diagnostic(
      `server ${victim} killed, flowing ${Math.round(performance.now() - begun)} ms later`,
    );
    await server.start();
    await led(cluster);
    await more(50);
  }
  const begun = performance.now();
  await Promise.all([cluster[0]!.kill(), cluster[1]!.kill()]);
  await more(50);
  await Promise.all([cluster[0]!.start(), cluster[1]!.start()]);
  await flowing();
  t.diagnostic(`two servers killed, flowing ${Math.round(performance.now() - begun)} ms later`);
  for (const victim of [0, 1]) {
    await edges[victim]!.kill();
    edges[victim] = await startEdgeOf(cores, `edge-${'ab'[victim]}`, edges[victim]);
    await more(50);
  }
  await Promise.all(publishers.map((publisher) => publisher.stop(60_000)));
  const acked = publishers.flatMap((publisher) => [...publisher.acked]);
  const books = await subscriber.settle(acked, 60_000);
  t.diagnostic(`acked ${acked.length}, seen ${subscriber.count}, repeated ${subscriber.repeated}`);
  assert.deepEqual(books, { lost: [], reordered: [], doubled: [] });
});
