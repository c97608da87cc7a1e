/**
 * Retained messages that change while a link is down, or at two edges at once: afterwards every edge
 * has what the core has.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { TestClient } from '../support/clients.ts';
import { attached, interested, metric, startEdge, urlOf } from '../support/fleet.ts';
import { type RunningProcess, startProcess } from '../support/processes.ts';
import { startProxy, type TcpProxy } from '../support/proxy.ts';
import { until } from '../support/until.ts';

let core: RunningProcess;
const edges: RunningProcess[] = [];
let proxy: TcpProxy;
let [urlA, urlB] = ['', ''];
const clients: TestClient[] = [];

before(async () => {
  core = await startProcess('core');
  proxy = await startProxy(core.port('trunk'));
  edges.push(await startEdge(core, 'edge-a'));
  edges.push(await startEdge(core, 'edge-b', undefined, proxy.port));
  await attached(core, 2);
  [urlA, urlB] = edges.map(urlOf) as [string, string];
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.mqtt.endAsync(true)));
});

after(async () => {
  await Promise.all([...edges, core].map((one) => one.kill()));
  proxy.close();
});

async function connect(url: string, filter?: string): Promise<TestClient> {
  const client = await TestClient.connect(url);
  clients.push(client);
  if (filter !== undefined) await client.subscribe(filter, 1);
  return client;
}

/** What a device that comes now is told of a filter that others want already. */
async function toldAt(url: string, filter: string): Promise<string[]> {
  const late = await connect(url, filter);
  // Behind the retained messages of the filter.
  await late.roundTrip();
  return late.received.map(({ topic, text }) => `${topic} ${text}`).toSorted();
}

/** The link of edge b is down, and comes back when `restore` is called. */
async function cutB(): Promise<void> {
  proxy.refuse(true);
  proxy.cut();
  await attached(core, 1);
}

async function restoreB(): Promise<void> {
  proxy.refuse(false);
  await attached(core, 2);
  await interested(core, 'edge-b', 1);
}

async function allSent(): Promise<void> {
  await until(async () => {
    const backlogs = await Promise.all(edges.map((one) => metric(one, 'trunkline_spool_backlog')));
    return backlogs.every((backlog) => backlog === 0);
  }, 'the core has everything');
}

test('a delete elsewhere while the link was down is known when it is back', async () => {
  const watcher = await connect(urlB, 'gone/#');
  const sender = await connect(urlA);
  await sender.publish('gone/lamp', 'on', { qos: 1, retain: true });
  await sender.publish('gone/fan', 'on', { qos: 1, retain: true });
  await watcher.expect(2);
  assert.equal((await toldAt(urlB, 'gone/#')).length, 2);
  await cutB();
  await sender.publish('gone/lamp', '', { qos: 1, retain: true });
  await sender.publish('gone/fan', 'off', { qos: 1, retain: true });
  await allSentBy(0);
  assert.equal((await toldAt(urlB, 'gone/#')).length, 2);
  await restoreB();
  await watcher.expect(4);
  assert.deepEqual(await toldAt(urlB, 'gone/#'), ['gone/fan off']);
});

test('what nobody here wanted any more is compared when it is wanted again', async () => {
  const watcher = await connect(urlB, 'again/#');
  const sender = await connect(urlA);
  await sender.publish('again/lamp', 'on', { qos: 1, retain: true });
  await watcher.expect(1);
  await watcher.mqtt.unsubscribeAsync('again/#');
  await watcher.subscribe('again/lamp/marker', 1);
  await sender.publish('again/lamp', '', { qos: 1, retain: true });
  // Behind the delete on the same lane: the edge has passed it without hearing of it.
  await until(async () => {
    await sender.publish('again/lamp/marker', 'x', { qos: 1 });
    return watcher.received.length > 1;
  }, 'the edge is behind the delete');
  await cutB();
  // Wanted while there is no link: the first answer is of what this edge had.
  const back = await connect(urlB, 'again/#');
  await back.expect(1);
  await restoreB();
  await until(async () => (await toldAt(urlB, 'again/#')).length === 0, 'it is gone');
});

test('a delete and a change made here while the link was down stand when it is back', async () => {
  const near = await connect(urlB, 'mine/#');
  const far = await connect(urlA, 'mine/#');
  await interested(core, 'edge-a', 1);
  const sender = await connect(urlB);
  for (const name of ['lamp', 'fan']) {
    await sender.publish(`mine/${name}`, 'on', { qos: 1, retain: true });
  }
  await Promise.all([near.expect(2), far.expect(2)]);
  await allSent();
  await cutB();
  await sender.publish('mine/lamp', '', { qos: 1, retain: true });
  await sender.publish('mine/fan', 'off', { qos: 1, retain: true });
  await restoreB();
  await far.expect(4);
  await allSent();
  assert.deepEqual(await toldAt(urlB, 'mine/#'), ['mine/fan off']);
  assert.deepEqual(await toldAt(urlA, 'mine/#'), ['mine/fan off']);
});

test('edges that write to the same topic at once agree with the core in the end', async () => {
  const [a, b] = [await connect(urlA, 'both/#'), await connect(urlB, 'both/#')];
  await interested(core, 'edge-a', 1);
  await interested(core, 'edge-b', 1);
  // The core's answer has come: what is retained is not waited for any more.
  assert.deepEqual(await toldAt(urlB, 'both/#'), []);
  for (const round of [1, 2, 3]) {
    // Edge b hears nothing while both write, and then all at once: that the core has what it wrote,
    // and what was written elsewhere before.
    proxy.hold(true);
    await a.publish('both/x', `a${round}`, { qos: 1, retain: true });
    await allSentBy(0);
    await b.publish('both/x', `b${round}`, { qos: 1, retain: true });
    await a.expect(2 * round);
    proxy.hold(false);
    await b.expect(2 * round);
    await allSent();
    assert.deepEqual(await toldAt(urlA, 'both/#'), [`both/x b${round}`]);
    await until(async () => {
      return (await toldAt(urlB, 'both/#')).join() === `both/x b${round}`;
    }, 'edge b has what the core has');
  }
  assert.equal(b.received.length, 6, 'what came back to its own edge is not delivered');
});

async function allSentBy(edge: number): Promise<void> {
  const process = edges[edge] as RunningProcess;
  await until(async () => (await metric(process, 'trunkline_spool_backlog')) === 0, 'all sent');
}
