/** Bridges to a broker of another make, here mosquitto: both ways, and whatever dies in between. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { TestClient } from '../support/clients.ts';
import { type Mosquitto, startMosquitto } from '../support/mosquitto.ts';
import { type RunningProcess, startProcess } from '../support/processes.ts';
import { until } from '../support/until.ts';

let other: Mosquitto;

beforeEach(async () => {
  other = await startMosquitto();
});

interface Bridge {
  readonly version?: 4 | 5;
  readonly name?: string;
  readonly url?: string;
  readonly topics?: readonly Record<string, unknown>[];
}

function flagsFor(bridges: readonly Bridge[]): string[] {
  const foreign = bridges.map(({ name = 'other', ...rest }) => ({
    name,
    url: other.url,
    topics: [{ filter: '#', qos: 2 }],
    ...rest,
  }));
  return ['--edge-foreign', JSON.stringify(foreign), '--edge-cores', '127.0.0.1:1'];
}

async function startEdge(bridges: readonly Bridge[] = [{}], again?: RunningProcess) {
  const flags = flagsFor(bridges);
  const edge =
    again === undefined
      ? await startProcess('edge', { flags })
      : await startProcess('edge', {
          data: again.data,
          flags: [...flags, '--mqtt-port', String(again.port('mqtt'))],
        });
  return edge;
}

const urlOf = (edge: RunningProcess) => `mqtt://127.0.0.1:${edge.port('mqtt')}`;

async function metricOf(edge: RunningProcess, line: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${edge.port('http')}/metrics`)).text();
  const found = text.split('\n').find((one) => one.startsWith(`${line} `));
  return Number(found?.split(' ').at(-1) ?? 0);
}

async function isUp(edge: RunningProcess, name = 'other'): Promise<void> {
  const up = async () => (await metricOf(edge, `trunkline_foreign_up{bridge="${name}"}`)) === 1;
  await until(up, `the bridge ${name} is up`);
}

function ids(count: number, prefix = ''): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`);
}

async function publishAll(
  client: TestClient,
  topic: string,
  { texts, qos = 1 }: { texts: readonly string[]; qos?: 0 | 1 | 2 },
): Promise<void> {
  await Promise.all(texts.map((text) => client.publish(topic, text, { qos })));
}

for (const version of [4, 5] as const) {
  test(`MQTT ${version === 4 ? '3.1.1' : '5'}: messages of every QoS go both ways, once`, async () => {
    const edge = await startEdge([{ version }]);
    await isUp(edge);
    const here = await TestClient.connect(urlOf(edge), { protocolVersion: version });
    const there = await TestClient.connect(other.url, { protocolVersion: version });
    await here.subscribe('from/there/#', 2);
    await there.subscribe('from/here/#', 2);
    for (const qos of [0, 1, 2] as const) {
      await publishAll(here, `from/here/${qos}`, { texts: ids(50, `${qos}-`), qos });
      await publishAll(there, `from/there/${qos}`, { texts: ids(50, `${qos}-`), qos });
    }
    await here.expect(150);
    await there.expect(150);
    await here.roundTrip();
    await there.roundTrip();
    for (const client of [here, there]) {
      for (const qos of [0, 1, 2]) {
        const texts = client.received.filter((one) => one.qos === qos).map(({ text }) => text);
        assert.deepEqual(texts, ids(50, `${qos}-`));
      }
    }
    await here.end();
    await there.end();
  });
}

test('prefixes stand in front of the topics on their side, and go on the other', async () => {
  const topics = [
    { filter: 'up/#', direction: 'out', qos: 1, local_prefix: 'plant/', remote_prefix: 'site-a/' },
    { filter: 'down/+', direction: 'in', qos: 1, local_prefix: 'plant/', remote_prefix: 'site-a/' },
  ];
  const edge = await startEdge([{ topics }]);
  await isUp(edge);
  const here = await TestClient.connect(urlOf(edge));
  const there = await TestClient.connect(other.url);
  await here.subscribe('#', 1);
  await there.subscribe('#', 1);
  await here.publish('plant/up/x', 'up', { qos: 1 });
  await here.publish('elsewhere/up/x', 'stays', { qos: 1 });
  await there.publish('site-a/down/y', 'down', { qos: 1 });
  await there.publish('site-b/down/y', 'stays', { qos: 1 });
  await there.expect(3);
  await here.expect(3);
  await here.roundTrip();
  await there.roundTrip();
  assert.ok(here.received.some(({ topic, text }) => topic === 'plant/down/y' && text === 'down'));
  assert.ok(there.received.some(({ topic, text }) => topic === 'site-a/up/x' && text === 'up'));
  assert.equal(here.received.length, 3);
  assert.equal(there.received.length, 3);
  await here.end();
  await there.end();
});

test('what is accepted while the other broker is away arrives when it is back, in order', async () => {
  const edge = await startEdge();
  await isUp(edge);
  const there = await TestClient.connect(other.url, { clientId: 'there', clean: false });
  await there.subscribe('away/#', 1);
  await there.end();
  await other.stop();
  const here = await TestClient.connect(urlOf(edge));
  await publishAll(here, 'away/x', { texts: ids(500) });
  await other.start();
  const back = await TestClient.connect(other.url, { clientId: 'there', clean: false });
  await back.expect(500);
  assert.deepEqual(
    back.texts.filter((text, at, all) => all.indexOf(text) === at),
    ids(500),
  );
  await here.end();
  await back.end();
});

test('nothing that either side acknowledged is lost when the edge is killed, QoS 2 comes once', async () => {
  let edge = await startEdge();
  await isUp(edge);
  const there = await TestClient.connect(other.url, { clientId: 'there', clean: false });
  await there.subscribe('out/#', 2);
  for (let round = 0; round < 3; round++) {
    const here = await TestClient.connect(urlOf(edge));
    const acked: Promise<void>[] = ids(300, `${round}-`).map((text) =>
      here.publish('out/x', text, { qos: 2 }),
    );
    await Promise.all(acked);
    await publishAll(there, 'in/x', { texts: ids(300, `${round}-`), qos: 2 });
    await edge.kill();
    edge = await startEdge([{}], edge);
    const reader = await TestClient.connect(urlOf(edge), { clientId: 'reader', clean: false });
    await reader.subscribe('in/#', 2);
    await reader.end();
    await isUp(edge);
    here.mqtt.end(true);
  }
  const all = [0, 1, 2].flatMap((round) => ids(300, `${round}-`));
  await there.expect(all.length, 30_000);
  await there.roundTrip();
  assert.deepEqual(there.texts.sort(), all.sort());
  const reader = await TestClient.connect(urlOf(edge), { clientId: 'reader', clean: false });
  // Subscribed after the first round: what mosquitto acknowledged in the others comes here.
  await reader.roundTrip();
  const doubled = reader.texts.filter((text, at) => reader.texts.indexOf(text) !== at);
  assert.deepEqual(doubled, []);
  await there.end();
  await reader.end();
});

test('a killed broker that has lost its sessions is served again, and serves again', async () => {
  const edge = await startEdge();
  await isUp(edge);
  const before = await TestClient.connect(other.url);
  await publishAll(before, 'in/x', { texts: ids(20), qos: 2 });
  before.mqtt.end(true);
  await other.kill();
  await other.start();
  await isUp(edge);
  const here = await TestClient.connect(urlOf(edge));
  const there = await TestClient.connect(other.url);
  await here.subscribe('in/#', 2);
  await there.subscribe('out/#', 2);
  await publishAll(there, 'in/x', { texts: ids(100, 'new '), qos: 2 });
  await publishAll(here, 'out/x', { texts: ids(100), qos: 2 });
  await here.expect(100);
  await there.expect(100);
  assert.deepEqual(here.texts, ids(100, 'new '));
  await here.end();
  await there.end();
});

test('properties of MQTT 5 pass, and the hops are counted', async () => {
  const edge = await startEdge();
  await isUp(edge);
  const here = await TestClient.connect(urlOf(edge), { protocolVersion: 5 });
  const there = await TestClient.connect(other.url, { protocolVersion: 5 });
  await there.subscribe('p', 1);
  const came = new Promise<Record<string, unknown>>((resolve) => {
    there.mqtt.once('message', (_topic, _payload, packet) => resolve({ ...packet.properties }));
  });
  await here.mqtt.publishAsync('p', 'x', {
    qos: 1,
    properties: {
      contentType: 'text/plain',
      responseTopic: 'answers',
      correlationData: Buffer.from('7'),
      messageExpiryInterval: 100,
      userProperties: { color: 'red' },
    },
  });
  const properties = await came;
  assert.equal(properties['contentType'], 'text/plain');
  assert.equal(properties['responseTopic'], 'answers');
  assert.equal(String(properties['correlationData']), '7');
  assert.ok(Number(properties['messageExpiryInterval']) > 90);
  assert.deepEqual(
    { ...(properties['userProperties'] as object) },
    {
      color: 'red',
      'trunkline-hops': '1',
    },
  );
  await here.end();
  await there.end();
});

test('a ring of edges and a foreign broker ends what goes round', async () => {
  const first = await startEdge(
    [{ name: 'a', client: 'a' } as Bridge].map(({ name }) => ({ name: name ?? 'a' })),
  );
  const second = await startEdge([{ name: 'b' }]);
  await isUp(first, 'a');
  await isUp(second, 'b');
  // The second edge also bridges to the first: what the first sends to mosquitto comes back to it.
  const third = await startEdge([
    { name: 'to-first', url: urlOf(first) },
    { name: 'to-second', url: urlOf(second) },
  ]);
  await isUp(third, 'to-first');
  await isUp(third, 'to-second');
  const here = await TestClient.connect(urlOf(first));
  await here.publish('ring', 'round', { qos: 1 });
  const dropped = async () => {
    let sum = 0;
    for (const [edge, names] of [
      [first, ['a']],
      [second, ['b']],
      [third, ['to-first', 'to-second']],
    ] as const) {
      for (const name of names) {
        const labels = `bridge="${name}",reason="hop-limit"`;
        sum += await metricOf(edge, `trunkline_foreign_dropped_total{${labels}}`);
      }
    }
    return sum;
  };
  await until(async () => (await dropped()) > 0, 'it ends at the hop limit');
  const sentOf = () => metricOf(third, 'trunkline_foreign_sent_total{bridge="to-first"}');
  await until(async () => {
    const before = await sentOf();
    await here.roundTrip();
    await here.roundTrip();
    return (await sentOf()) === before;
  }, 'nothing goes round any more');
  await here.end();
});

test('devices cannot take the session of a bridge', async () => {
  const edge = await startEdge();
  const taking = TestClient.connect(urlOf(edge), { clientId: '$trunkline/foreign/other' });
  await assert.rejects(taking, /Identifier rejected|not authorized|closed/i);
});

test('two bridges of one name are refused with a sentence', async () => {
  await assert.rejects(startEdge([{}, {}]), /edge\.foreign has two bridges named other/);
});
