/** Two edges and a core as processes: what devices on one edge get from devices on the other. */
import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { TestClient } from '../support/clients.ts';
import { type Fleet, interested, metric, startFleet, urlOf } from '../support/fleet.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const hasMosquitto = spawnSync('mosquitto_pub', ['--help']).error === undefined;
const withoutMosquitto = hasMosquitto ? false : 'mosquitto-clients are not installed';

let fleet: Fleet;
let urlA = '';
let urlB = '';
let filtersOfA = 0;
let filtersOfB = 0;
const clients: TestClient[] = [];

before(async () => {
  fleet = await startFleet(2);
  [urlA, urlB] = fleet.edges.map(urlOf) as [string, string];
});

after(async () => {
  await Promise.all(clients.map((client) => client.mqtt.endAsync(true)));
});

async function connect(url: string, options: Parameters<typeof TestClient.connect>[1] = {}) {
  const client = await TestClient.connect(url, options);
  clients.push(client);
  return client;
}

async function subscribe(client: TestClient, url: string, filter: string, qos: 0 | 1 | 2) {
  await client.subscribe(filter, qos);
  if (url === urlA) await interested(fleet.core, 'edge-a', ++filtersOfA);
  else await interested(fleet.core, 'edge-b', ++filtersOfB);
}

for (const qos of [0, 1, 2] as const) {
  for (const way of ['a to b', 'b to a'] as const) {
    test(`QoS ${qos} from edge ${way} arrives once each, in order, through a wildcard`, async () => {
      const [from, to] = way === 'a to b' ? [urlA, urlB] : [urlB, urlA];
      const [sender, receiver] = [await connect(from), await connect(to)];
      const name = `across/${qos}/${way[0]}`;
      await subscribe(receiver, to, `${name}/+/#`, qos);
      // QoS 0 goes up once the sender's edge has heard that it is wanted.
      if (qos === 0) {
        await until(async () => {
          await sender.publish(`${name}/probe/x`, 'probe');
          return receiver.received.length > 0;
        }, 'the filter is known at the other edge');
        await receiver.roundTrip();
        receiver.received.length = 0;
      }
      const sent = Array.from({ length: 400 }, (_, i) => `${i}`);
      await Promise.all(sent.map((text) => sender.publish(`${name}/t/x`, text, { qos })));
      await receiver.expect(400);
      assert.deepEqual(
        receiver.received.filter((item) => item.topic.endsWith('/t/x')).map((item) => item.text),
        sent,
      );
      assert.ok(receiver.received.every((item) => item.qos === qos));
    });
  }
}

test('properties of MQTT 5 cross the trunk, and what is left of the expiry is counted', async () => {
  const sender = await connect(urlA, { protocolVersion: 5 });
  const receiver = await connect(urlB, { protocolVersion: 5 });
  await subscribe(receiver, urlB, 'properties/#', 1);
  const packets: Record<string, unknown>[] = [];
  receiver.mqtt.on('message', (_topic, _payload, packet) => {
    packets.push({ ...packet.properties });
  });
  const properties = {
    payloadFormatIndicator: true,
    messageExpiryInterval: 1_000,
    contentType: 'text/plain',
    responseTopic: 'answers',
    correlationData: Buffer.from('42'),
    userProperties: { unit: 'K' },
  };
  await sender.mqtt.publishAsync('properties/x', 'text', { qos: 1, properties });
  await receiver.expect(1);
  const { messageExpiryInterval, userProperties, ...others } = packets[0] ?? {};
  const { messageExpiryInterval: sent, userProperties: _, ...sentOthers } = properties;
  assert.deepEqual(others, sentOthers);
  assert.deepEqual({ ...(userProperties as object) }, { unit: 'K' });
  const left = messageExpiryInterval as number;
  assert.ok(left <= sent && left > sent - 60, `${left} s left`);
});

test('a publication does not come back to the edge that it came from', async () => {
  const [sender, here, there] = [await connect(urlA), await connect(urlA), await connect(urlB)];
  await subscribe(here, urlA, 'echo', 1);
  await subscribe(there, urlB, 'echo', 1);
  await sender.publish('echo', 'x', { qos: 1 });
  await there.expect(1);
  await there.publish('echo', 'y', { qos: 1 });
  await here.expect(2);
  assert.deepEqual(here.texts, ['x', 'y']);
});

test('nothing goes down to an edge that did not ask for it', async () => {
  const before = await metric(fleet.edges[1]!, 'trunkline_downlinked_total');
  const sender = await connect(urlA);
  for (let i = 0; i < 50; i++) await sender.publish('nobody/asked', `${i}`, { qos: 1 });
  const receiver = await connect(urlB);
  await subscribe(receiver, urlB, 'marker', 1);
  await sender.publish('marker', 'end', { qos: 1 });
  await receiver.expect(1);
  assert.equal(await metric(fleet.edges[1]!, 'trunkline_downlinked_total'), before + 1);
});

test('a will of a device on one edge reaches a watcher on the other', async () => {
  const watcher = await connect(urlB);
  await subscribe(watcher, urlB, 'wills/#', 1);
  const device = await connect(urlA, {
    will: { topic: 'wills/a', payload: Buffer.from('gone'), qos: 1, retain: false },
  });
  await device.cut();
  await watcher.expect(1);
  assert.equal(watcher.received[0]?.text, 'gone');
});

test('a retained message reaches a late subscriber on the other edge, and its deletion too', async () => {
  const sender = await connect(urlA);
  // QoS 0 is not acknowledged: the one behind it tells that both are in the spool.
  await sender.publish('state/fan', 'off', { qos: 0, retain: true });
  await sender.publish('state/lamp', 'on', { qos: 1, retain: true });
  const late = await connect(urlB);
  await until(async () => (await metric(fleet.edges[0]!, 'trunkline_spool_backlog')) === 0, 'sent');
  await subscribe(late, urlB, 'state/+', 1);
  await late.expect(2);
  assert.deepEqual(late.received.map((one) => [one.topic, one.text, one.retain]).sort(), [
    ['state/fan', 'off', true],
    ['state/lamp', 'on', true],
  ]);
  await sender.publish('state/lamp', '', { qos: 1, retain: true });
  await late.expect(3);
  const later = await connect(urlB);
  await later.subscribe('state/lamp', 1);
  await later.roundTrip();
  assert.deepEqual(later.received, []);
});

test('a kept session on one edge gets what was published on the other while it was away', async () => {
  const options = { clientId: 'wanderer', clean: false };
  const first = await connect(urlB, options);
  await subscribe(first, urlB, 'away/#', 1);
  await first.end();
  const sender = await connect(urlA);
  const sent = Array.from({ length: 100 }, (_, i) => `${i}`);
  for (const text of sent) await sender.publish('away/x', text, { qos: 1 });
  const back = await connect(urlB, options);
  assert.equal(back.sessionPresent, true);
  await back.expect(100);
  assert.deepEqual(back.texts, sent);
});

test('a session is seen by list, get and watch, and gone from all when it ends', async () => {
  const base = `http://127.0.0.1:${fleet.core.port('http')}/v1/sessions`;
  const controller = new AbortController();
  const watch = await fetch(`${base}:watch?filter=client_id%20%3D%20seen-*`, {
    signal: controller.signal,
  });
  const events: string[] = [];
  const reading = (async () => {
    for await (const chunk of watch.body as unknown as AsyncIterable<Uint8Array>) {
      events.push(
        ...(Buffer.from(chunk)
          .toString()
          .match(/^event: .*$/gm) ?? []),
      );
    }
  })().catch(() => {});
  const device = await connect(urlA, { clientId: 'seen-1' });
  await until(async () => (await fetch(`${base}/seen-1`)).status === 200, 'get finds it');
  const list = (await (await fetch(`${base}?filter=client_id=seen-*`)).json()) as {
    sessions: { client_id: string; edge_id: string; state: string }[];
  };
  assert.deepEqual(
    list.sessions.map((one) => [one.client_id, one.edge_id, one.state]),
    [['seen-1', 'edge-a', 'connected']],
  );
  await device.end();
  await until(async () => (await fetch(`${base}/seen-1`)).status === 404, 'it is gone');
  await until(() => events.includes('event: removed'), 'the watch tells that it is gone');
  controller.abort();
  await reading;
  assert.ok(events.includes('event: added'));
});

test('mosquitto clients on both ends meet', { skip: withoutMosquitto }, async () => {
  const [portA, portB] = fleet.edges.map((edge) => String(edge.port('mqtt'))) as [string, string];
  const sub = spawn('mosquitto_sub', [
    '-p',
    portB,
    '-t',
    'mosquitto/+',
    '-q',
    '2',
    '-C',
    '3',
    '-W',
    '20',
  ]);
  let output = '';
  sub.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const ended = new Promise((resolve) => sub.once('close', resolve));
  await interested(fleet.core, 'edge-b', ++filtersOfB);
  for (const qos of ['1', '2', '1']) {
    await run('mosquitto_pub', ['-p', portA, '-t', 'mosquitto/x', '-m', `q${qos}`, '-q', qos]);
  }
  assert.equal(await ended, 0);
  assert.deepEqual(output.trim().split('\n').toSorted(), ['q1', 'q1', 'q2']);
  const old = ['-p', portA, '-V', 'mqttv31', '-t', 'mosquitto/old', '-m', 'x', '-q', '1'];
  await run('mosquitto_pub', old);
});

test('SIGTERM ends edges and core by themselves, with devices connected', async () => {
  const exits = await Promise.all([...fleet.edges, fleet.core].map((one) => one.stop()));
  assert.deepEqual(
    exits,
    [0, 0, 0].map((code) => ({ code, signal: null })),
  );
});
