/**
 * Edges with several cores, over real sockets: the nearest is taken, a link moves without its devices
 * noticing, a core that drains sends its edges on, and one that many come to at once lets them in one
 * after the other. Every core here has a log of its own.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ServerCredentials } from '@grpc/grpc-js';
import { systemClock } from '../../base/clock.ts';
import { CoreProbe } from '../../bridge/placement/core-probe.ts';
import { bindServer, closeServer, createServer } from '../../core/grpc/server.ts';
import { startProxy, type TcpProxy } from '../support/proxy.ts';
import { publication, TestCore, TestEdge, withFolder } from '../support/trunk-world.ts';
import { until } from '../support/until.ts';

const probeEveryMs = 40;

/** On the way of every core, so that a busy machine does not make one look clearly nearer. */
const distanceMs = 40;

interface World {
  readonly cores: readonly TestCore[];
  readonly proxies: readonly TcpProxy[];
  /** Of all proxies, or of some by their number. */
  edge(id: string, via?: readonly number[], region?: string): Promise<TestEdge>;
}

/** Cores `core-0`, `core-1` … of the regions, each behind a proxy. */
async function withCores(regions: readonly string[], work: (world: World) => Promise<void>) {
  await withFolder(async (folder) => {
    const cores: TestCore[] = [];
    const proxies: TcpProxy[] = [];
    const edges: TestEdge[] = [];
    try {
      for (const [number, region] of regions.entries()) {
        const core = await TestCore.open(join(folder, `${number}.db`), {
          coreId: `core-${number}`,
          region,
        });
        cores.push(core);
        const proxy = await startProxy(core.port);
        proxy.delay(distanceMs);
        proxies.push(proxy);
      }
      await work({
        cores,
        proxies,
        edge: async (id, via = [...proxies.keys()], region = 'here') => {
          const addresses = via.map((number) => `127.0.0.1:${proxies[number]?.port}`);
          const options = { cores: addresses, probeEveryMs, region };
          const edge = new TestEdge(id, 0, { bridge: options });
          edges.push(edge);
          return await edge.start();
        },
      });
    } finally {
      for (const edge of edges) await edge.bridge.close();
      for (const proxy of proxies) proxy.close();
      for (const core of cores) await core.close();
    }
  });
}

const coreOf = (edge: TestEdge) => edge.bridge.status().coreId;
const isAt = (edge: TestEdge, coreId: string) =>
  until(() => coreOf(edge) === coreId && edge.bridge.isConnected, `${coreId} is connected`);
const count = (of: TestEdge | TestCore, sample: string) =>
  Number(
    new RegExp(`^${sample.replace(/[{}]/g, '\\$&')} (\\d+)$`, 'm').exec(
      of.parts.metrics.text(),
    )?.[1] ?? 0,
  );

test('an edge connects to the nearest of its cores, whatever their order', async () => {
  await withCores(['a', 'b', 'c'], async ({ proxies, edge }) => {
    proxies[0]?.delay(160);
    proxies[2]?.delay(120);
    const one = await edge('one');
    assert.equal(coreOf(one), 'core-1');
    const { candidates } = one.bridge.status();
    assert.deepEqual(
      candidates.map(({ state, coreId, region }) => [state, coreId, region]),
      [
        ['serving', 'core-0', 'a'],
        ['serving', 'core-1', 'b'],
        ['serving', 'core-2', 'c'],
      ],
    );
    const [first, second] = candidates.map(({ roundTripMs }) => roundTripMs);
    assert.ok(Number(first) >= 160 && Number(second) < Number(first), `${first} ${second}`);
  });
});

test('of cores that are alike, an edge uses that of its own region', async () => {
  await withCores(['a', 'b', 'c'], async ({ edge }) => {
    await isAt(await edge('one', [0, 1, 2], 'c'), 'core-2');
    await isAt(await edge('two', [0, 1, 2], 'b'), 'core-1');
  });
});

test('a link moves when another core becomes clearly nearer, and back again, and loses nothing', async () => {
  await withCores(['a', 'b'], async ({ cores, proxies, edge }) => {
    proxies[1]?.delay(120);
    const one = await edge('one');
    const two = await edge('two');
    assert.deepEqual([coreOf(one), coreOf(two)], ['core-0', 'core-0']);
    await two.want('t/#');
    let sent = 0;
    const burst = () => {
      for (let i = 0; i < 200; i++) one.spool.append([publication('t/x', String(sent++))]);
    };
    burst();
    proxies[0]?.delay(300);
    await Promise.all([isAt(one, 'core-1'), isAt(two, 'core-1')]);
    burst();
    proxies[0]?.delay(distanceMs);
    await Promise.all([isAt(one, 'core-0'), isAt(two, 'core-0')]);
    burst();
    await two.receives(sent);
    await until(() => one.spool.backlog === 0, 'everything acknowledged');
    const seen = new Set(two.payloads('t/x'));
    assert.equal(seen.size, sent);
    assert.deepEqual(
      [
        count(one, 'trunkline_link_moves_total{reason="nearer"}'),
        count(one, 'trunkline_links_lost_total'),
      ],
      [2, 0],
    );
    await until(() => cores[1]?.edges.all().length === 0, 'nothing is left at the other core');
  });
});

test('the new core is connected before the old link ends', async () => {
  await withCores(['a', 'b'], async ({ cores, proxies, edge }) => {
    const one = await edge('one', [0, 1], 'a');
    await isAt(one, 'core-0');
    proxies[1]?.delay(400);
    await cores[0]?.drain.begin({ withinMs: 1, address: '' });
    await until(() => cores[1]?.edges.get('one') !== undefined, 'the other core lets it in');
    // Its welcome is still on the way.
    assert.deepEqual([coreOf(one), one.bridge.isConnected], ['core-0', true]);
    assert.ok(cores[0]?.edges.get('one') !== undefined);
    proxies[1]?.delay(distanceMs);
    await isAt(one, 'core-1');
  });
});

test('a core that drains sends its edges to another one, lets none in, and does again after undo', async () => {
  await withCores(['a', 'b'], async ({ cores, edge }) => {
    const one = await edge('one', [0, 1], 'a');
    const alone = await edge('alone', [0]);
    await isAt(one, 'core-0');
    const drain = cores[0]?.drain;
    const answers = await drain?.begin({ withinMs: 30, address: '' });
    const errorOf = (id: string) => answers?.find(({ edgeId }) => edgeId === id)?.error;
    assert.equal(errorOf('one'), '');
    assert.match(errorOf('alone') ?? '', /knows no other core/);
    await isAt(one, 'core-1');
    assert.deepEqual([coreOf(alone), alone.bridge.isConnected], ['core-0', true]);
    const late = new TestEdge('late', cores[0]?.port ?? 0);
    late.bridge.start(late);
    const refusedSample = 'trunkline_attaches_refused_total{reason="draining"}';
    await until(() => count(cores[0] as TestCore, refusedSample) > 0, 'an edge is refused');
    assert.equal(late.bridge.isConnected, false);
    drain?.undo();
    await late.bridge.onceConnected();
    await late.bridge.close();
    // It is of the edge's own region, and alike.
    await isAt(one, 'core-0');
  });
});

test('an edge goes to a core that it did not know, when it is sent there by address', async () => {
  await withCores(['a', 'b'], async ({ cores, proxies, edge }) => {
    const one = await edge('one', [0]);
    const address = `127.0.0.1:${proxies[1]?.port}`;
    const answers = await cores[0]?.drain.begin({ withinMs: 1, address });
    assert.deepEqual(answers, [{ edgeId: 'one', error: '' }]);
    await isAt(one, 'core-1');
    assert.equal(one.bridge.status().candidates.length, 2);
  });
});

test('a core that stops waits for the edges that can go, and not for the others', async () => {
  await withCores(['a', 'b'], async ({ cores, edge }) => {
    const one = await edge('one', [0, 1], 'a');
    const alone = await edge('alone', [0]);
    await isAt(one, 'core-0');
    await cores[0]?.drain.finish(60_000);
    assert.deepEqual(
      cores[0]?.edges.all().map(({ edgeId }) => edgeId),
      ['alone'],
    );
    assert.equal(alone.bridge.isConnected, true);
    await isAt(one, 'core-1');
  });
});

test('when its core dies an edge goes on at the next one', async () => {
  await withCores(['a', 'b'], async ({ proxies, edge }) => {
    const one = await edge('one', [0, 1], 'a');
    await isAt(one, 'core-0');
    proxies[0]?.refuse(true);
    proxies[0]?.cut();
    await isAt(one, 'core-1');
    assert.equal(count(one, 'trunkline_links_lost_total'), 1);
    proxies[0]?.refuse(false);
    await isAt(one, 'core-0');
  });
});

test('a core that does not know the health check counts as one that serves, and no core as none', async () => {
  const options = { name: 'a bare server', host: '127.0.0.1', port: 0, portFlag: 'port' };
  const bare = ServerCredentials.createInsecure();
  const { server, port } = await bindServer(createServer(), { ...options, credentials: bare });
  const probe = new CoreProbe(systemClock, { address: `127.0.0.1:${port}`, token: '' });
  const { state, roundTripMs, facts } = await probe.look();
  assert.deepEqual([state, facts], ['serving', null]);
  assert.ok(roundTripMs > 0);
  await closeServer(server);
  assert.equal((await probe.look()).state, 'unreachable');
  probe.close();
});

test('many edges at once are let in at the rate, and come when they were told', async () => {
  await withFolder(async (folder) => {
    const limits = { attachRate: 20, attachBurst: 2 };
    const core = await TestCore.open(join(folder, 'log.db'), limits);
    const edges = Array.from({ length: 30 }, (_, number) => new TestEdge(`e${number}`, core.port));
    const startedAt = performance.now();
    try {
      await Promise.all(edges.map((edge) => edge.start()));
      const seconds = (performance.now() - startedAt) / 1_000;
      assert.ok(seconds >= (30 - 2) / 20 - 0.05, `${seconds} s`);
      const refused = count(core, 'trunkline_attaches_refused_total{reason="rate"}');
      const deferred = edges.map((edge) => count(edge, 'trunkline_attaches_deferred_total'));
      assert.ok(refused >= 10, `${refused} refused`);
      assert.equal(
        deferred.reduce((sum, one) => sum + one, 0),
        refused,
      );
      assert.ok(Math.max(...deferred) <= 6, `one was refused ${Math.max(...deferred)} times`);
    } finally {
      for (const edge of edges) await edge.bridge.close();
      await core.close();
    }
  });
});
