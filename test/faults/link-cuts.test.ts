/**
 * Links cut under load. Two edges reach the core through proxies of the test's own, which cut both
 * connections of an edge at random moments, and at last go half dead: one passes nothing to the
 * core, the other nothing from it, and neither closes. What was acknowledged to the publishers must
 * arrive, in order, and at QoS 2 once. The moments come from a seed that the test tells.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { attached, interested, metric, startEdge, urlOf } from '../support/fleet.ts';
import { LoadPublisher, LoadSubscriber } from '../support/load.ts';
import { type RunningProcess, startProcess } from '../support/processes.ts';
import { startProxy, type TcpProxy } from '../support/proxy.ts';
import { until } from '../support/until.ts';

const cutsMax = 30;
const seed = 20_261_122;

/** From the last word that passes to a new link. */
const replacedMsMax = 10_000;

let core: RunningProcess;
const edges: RunningProcess[] = [];
const loads: Load[] = [];
const proxies: TcpProxy[] = [];

before(async () => {
  core = await startProcess('core');
  for (const id of ['edge-a', 'edge-b']) {
    const proxy = await startProxy(core.port('trunk'));
    proxies.push(proxy);
    edges.push(await startEdge(core, id, undefined, proxy.port));
  }
  await attached(core, 2);
});

after(async () => {
  for (const { publisher, subscriber } of loads) {
    publisher.client.end(true);
    subscriber.client.end(true);
  }
  await Promise.all([...edges, core].map((one) => one.kill()));
  for (const proxy of proxies) proxy.close();
});

/** Mulberry32: numbers from 0 to 1 that a seed repeats. */
function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Load {
  readonly qos: 1 | 2;
  readonly publisher: LoadPublisher;
  readonly subscriber: LoadSubscriber;
}

/** A publisher on the first edge and a kept session on the second. */
async function startLoad(qos: 1 | 2): Promise<Load> {
  const [a, b] = edges as [RunningProcess, RunningProcess];
  const subscription = { filter: `cuts/qos${qos}/#`, qos };
  const subscriber = await LoadSubscriber.open(urlOf(b), `receiver-${qos}`, subscription);
  const publisher = new LoadPublisher(urlOf(a), `sender-${qos}`);
  return { qos, publisher, subscriber };
}

function linksLost(): Promise<number[]> {
  return Promise.all(edges.map((edge) => metric(edge, 'trunkline_links_lost_total')));
}

async function linksUp(): Promise<boolean> {
  const up = await Promise.all(edges.map((edge) => metric(edge, 'trunkline_link_up')));
  return up.every((value) => value === 1);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Cuts an edge's connections at a moment that may fall into any part of a link's life. Before every
 * other cut the core's word is lost for a while: each end then knows other things than the other.
 */
async function cutAtRandom(random: () => number): Promise<void> {
  for (let cut = 0; cut < cutsMax; cut++) {
    await pause(30 + random() * 380);
    const proxy = proxies[random() < 0.5 ? 0 : 1];
    if (random() < 0.5) {
      proxy?.deafen('clients');
      await pause(20 + random() * 60);
    }
    proxy?.cut();
  }
}

/** The first edge is not heard, the second hears nothing, and no connection closes. */
async function goHalfDead(): Promise<number> {
  await until(linksUp, 'both links are up');
  const before = await linksLost();
  const at = performance.now();
  proxies[0]?.deafen('target');
  proxies[1]?.deafen('clients');
  const isReplaced = async () => {
    const now = await linksLost();
    return now.every((lost, edge) => lost > (before[edge] as number)) && (await linksUp());
  };
  await until(isReplaced, 'both half-dead links are replaced', replacedMsMax);
  return performance.now() - at;
}

test('links cut at random moments and half-dead links lose and reorder nothing', async (t) => {
  loads.push(await startLoad(1), await startLoad(2));
  await interested(core, 'edge-b', 2);
  for (const { qos, publisher } of loads) publisher.start(`cuts/qos${qos}/x`, qos);
  await cutAtRandom(randomFrom(seed));
  await Promise.all(loads.map(({ publisher }) => publisher.ackedMore(100)));
  const replacedMs = await goHalfDead();
  const lost = await linksLost();
  t.diagnostic(`seed ${seed}, links lost ${lost}, half dead for ${Math.round(replacedMs)} ms`);
  assert.ok(lost.every((count) => count > 3));
  for (const { qos, publisher, subscriber } of loads) {
    await publisher.stop();
    const books = await subscriber.settle(publisher.acked);
    const { doubled } = subscriber;
    await subscriber.end();
    t.diagnostic(`QoS ${qos}: acked ${publisher.acked.size}, doubled ${doubled}`);
    assert.deepEqual(books, { lost: 0, reordered: 0 });
    if (qos === 2) assert.equal(doubled, 0);
  }
});
