/**
 * Two cores that share a log on NATS, and an edge at each: what is published at one edge reaches the
 * other at every QoS, retained messages are where somebody asks for them, and an edge that goes to the
 * other core goes on where it was.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import mqtt, { type MqttClient } from 'mqtt';
import { attached, interested, metric, urlOf } from '../support/fleet.ts';
import { startEdgeOf, startNatsCore } from '../support/nats-fleet.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import type { RunningProcess } from '../support/processes.ts';
import { until } from '../support/until.ts';

let server: NatsServer;
let cores: RunningProcess[];
let edges: RunningProcess[];
const clients: MqttClient[] = [];

before(async () => {
  server = await startNats();
  const servers = [server.url];
  cores = await Promise.all(
    ['core-1', 'core-2'].map((id) =>
      startNatsCore({ id, servers, flags: ['--core-drain-seconds', '3'] }),
    ),
  );
  edges = await Promise.all(cores.map((core, i) => startEdgeOf([core], `edge-${'ab'[i]}`)));
  await Promise.all(cores.map((core) => attached(core, 1)));
});

after(async () => {
  for (const client of clients) client.end(true);
  await Promise.all([...edges, ...cores].map((one) => one.kill()));
});

async function client(edge: RunningProcess, clientId: string, clean = true): Promise<MqttClient> {
  const connected = await mqtt.connectAsync(urlOf(edge), { clientId, clean, reconnectPeriod: 100 });
  clients.push(connected);
  return connected;
}

function heard(of: MqttClient): string[] {
  const texts: string[] = [];
  of.on('message', (topic, payload, { qos, retain }) => {
    texts.push(`${topic}=${payload.toString()} q${qos}${retain ? ' retained' : ''}`);
  });
  return texts;
}

test('what is published at an edge of one core reaches an edge of the other, at every QoS, once', async () => {
  const [a, b] = edges as [RunningProcess, RunningProcess];
  const subscriber = await client(b, 'subscriber');
  const texts = heard(subscriber);
  await subscriber.subscribeAsync('far/#', { qos: 2 });
  await interested(cores[1]!, 'edge-b', 1);
  const publisher = await client(a, 'publisher');
  for (const qos of [1, 2] as const) await publisher.publishAsync('far/x', `${qos}`, { qos });
  // Nobody waits for the other core to hear of the filter before QoS 0 is sent.
  await until(async () => {
    await publisher.publishAsync('far/zero', 'z', { qos: 0 });
    return texts.some((text) => text.startsWith('far/zero'));
  }, 'QoS 0 comes over');
  await until(() => texts.filter((text) => text.startsWith('far/x')).length >= 2, 'both came');
  await publisher.publishAsync('far/y', 'last', { qos: 2 });
  await until(() => texts.includes('far/y=last q2'), 'the last came');
  const logged = texts.filter((text) => !text.startsWith('far/zero'));
  assert.deepEqual(logged, ['far/x=1 q1', 'far/x=2 q2', 'far/y=last q2']);
});

test('a retained message of one core is sent to who subscribes at the other, and is deleted there', async () => {
  const [a, b] = edges as [RunningProcess, RunningProcess];
  const publisher = await client(a, 'keeper');
  for (const topic of ['state/one', 'state/two words', 'state/a.b>*']) {
    await publisher.publishAsync(topic, 'on', { qos: 1, retain: true });
  }
  // What comes to a core after the subscription is news to it.
  const known = async () => (await metric(cores[1]!, 'trunkline_retained')) === 3;
  await until(known, 'the other core knows them');
  const late = await client(b, 'late');
  const texts = heard(late);
  await late.subscribeAsync('state/#', { qos: 1 });
  await until(() => texts.length === 3, 'all that is retained');
  assert.ok(texts.every((text) => text.endsWith('retained')));
  await publisher.publishAsync('state/one', '', { qos: 1, retain: true });
  await until(() => texts.length === 4, 'the delete');
  const later = await client(b, 'later');
  const rest = heard(later);
  await later.subscribeAsync('state/#', { qos: 1 });
  await until(() => rest.length >= 2, 'what is left');
  assert.deepEqual(rest.sort(), ['state/a.b>*=on q1 retained', 'state/two words=on q1 retained']);
});

test('an edge that goes to the other core goes on there: nothing is lost, nothing comes twice', async () => {
  const [, b] = edges as [RunningProcess, RunningProcess];
  const mover = await startEdgeOf(cores, 'mover');
  try {
    await until(async () => {
      const told = await Promise.all(cores.map((core) => metric(core, 'trunkline_edges')));
      return told.reduce((sum, count) => sum + count, 0) === 3;
    }, 'the edge is attached');
    const at = (await metric(cores[0]!, 'trunkline_edges')) === 2 ? 0 : 1;
    const subscriber = await client(b, 'moved-to', false);
    const texts = heard(subscriber);
    await subscriber.subscribeAsync('move/#', { qos: 2 });
    const publisher = await client(mover, 'mover-client', false);
    const numbers = Array.from({ length: 300 }, (_, i) => i);
    for (const n of numbers) {
      if (n === 100) {
        // Sends its edges to the other one.
        const url = `http://127.0.0.1:${cores[at]!.port('http')}/v1/core:drain`;
        const body = JSON.stringify({ within_ms: 100 });
        const headers = { 'content-type': 'application/json' };
        await fetch(url, { method: 'POST', body, headers });
      }
      await publisher.publishAsync('move/x', `${n}`, { qos: 2 });
    }
    await until(() => texts.length >= numbers.length, 'all of them', 20_000);
    await until(async () => (await metric(cores[1 - at]!, 'trunkline_edges')) >= 2, 'it moved');
    await publisher.publishAsync('move/x', 'end', { qos: 2 });
    await until(() => texts.includes('move/x=end q2'), 'the end');
    assert.deepEqual(
      texts,
      [...numbers, 'end'].map((n) => `move/x=${n} q2`),
    );
    assert.equal(await metric(mover, 'trunkline_replayed_total'), 0);
  } finally {
    await mover.kill();
  }
});

test('rules that are set at one core hold at the edges of the other, and both show them', async () => {
  const url = (core: RunningProcess) => `http://127.0.0.1:${core.port('http')}/v1/rules`;
  const set = async (core: RunningProcess, priority: string) => {
    const rules = [{ direction: 'up', filter: '#', priority }];
    const response = await fetch(url(core), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ rules }),
    });
    assert.equal(response.status, 200, await response.clone().text());
  };
  const versions = () => Promise.all(edges.map((edge) => metric(edge, 'trunkline_rules_version')));
  await set(cores[0]!, 'bulk');
  await until(
    async () => (await versions()).every((version) => version === 1),
    'both edges follow',
  );
  await set(cores[1]!, 'normal');
  await until(async () => (await versions()).every((version) => version === 2), 'the second, too');
  const shown = await Promise.all(cores.map(async (core) => (await fetch(url(core))).text()));
  assert.equal(shown[0], shown[1]);
});
