/** Bounds of the configuration: what a client gets at each, and that it is counted. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { settings } from '../../base/config-schema.ts';
import { descriptorsReserved } from '../../base/limits.ts';
import { createLog } from '../../base/log.ts';
import { Metrics } from '../../base/metrics.ts';
import { MemoryWatch } from '../../broker/memory-watch.ts';
import { Client5 } from '../support/client-5.ts';
import { TestClient } from '../support/clients.ts';
import { metric } from '../support/fleet.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import { startProcess } from '../support/processes.ts';
import { RawClient } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

const hasPrlimit = spawnSync('prlimit', ['--version']).error === undefined;
const opened: LocalBroker[] = [];

after(async () => {
  for (const edge of opened) await edge.discard();
});

async function edgeWith(limits: Record<string, unknown>): Promise<LocalBroker> {
  const edge = await openLocalBroker({ limits });
  opened.push(edge);
  return edge;
}

function metOf(edge: LocalBroker, limit: string): number {
  const pattern = new RegExp(`^trunkline_limits_met_total\\{limit="${limit}"\\} (\\d+)`, 'm');
  return Number(pattern.exec(edge.metrics.text())?.[1] ?? 0);
}

test('docs/limits.md has a row for each setting of limits, and no other', () => {
  const page = readFileSync('docs/limits.md', 'utf8');
  const rows = [...page.matchAll(/^\| `(limits\.\w+)` \|/gm)].map(([, path]) => path);
  const known = settings().map(({ path }) => path);
  const wanted = known.filter((path) => path.startsWith('limits.'));
  assert.deepEqual(rows.toSorted(), wanted.toSorted());
});

test('topics that are too long or too deep are not taken, published, wanted or willed', async () => {
  const edge = await edgeWith({ topic_bytes: 20, topic_levels: 3 });
  for (const [topic, limit] of [
    ['x'.repeat(21), 'topic_bytes'],
    ['é'.repeat(11), 'topic_bytes'],
    ['a/b/c/d', 'topic_levels'],
  ] as const) {
    const before = metOf(edge, limit);
    const client = await Client5.session(edge.port, 'c');
    assert.deepEqual(
      await client.subscribe({ [topic]: { qos: 0 }, 'a/b/c': { qos: 0 } }),
      [0x8f, 0],
    );
    client.send({ cmd: 'publish', topic, payload: '', qos: 0, dup: false, retain: false });
    assert.equal(await client.farewell(), 0x90);
    const other = await Client5.open(edge.port);
    const will = { topic, payload: Buffer.from('w'), qos: 0, retain: false };
    assert.equal((await other.connect('w', { will })).reasonCode, 0x90);
    assert.equal(metOf(edge, limit), before + 3);
  }
  const fitting = await Client5.session(edge.port, 'c');
  await fitting.subscribe('é'.repeat(10));
  await fitting.disconnect();
});

test('a packet with too many filters ends the connection before they are looked up', async () => {
  const edge = await edgeWith({ filters: 3 });
  const of = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ topic: `${i}`, qos: 0 }));
  const client = await Client5.session(edge.port, 'c');
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: of(3) });
  assert.equal((await client.nextOf('suback')).granted?.length, 3);
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: of(4) });
  assert.equal(await client.farewell(), 0x97);
  const other = await Client5.session(edge.port, 'c');
  other.send({ cmd: 'unsubscribe', messageId: 1, unsubscriptions: ['0', '1', '2', '3'] });
  assert.equal(await other.farewell(), 0x97);
  const old = await TestClient.connect(edge.url, { protocolVersion: 4 });
  await assert.rejects(old.subscribe(['0', '1', '2', '3']));
  assert.equal(metOf(edge, 'filters'), 3);
});

test('a will that is too large is refused', async () => {
  const edge = await edgeWith({ will_bytes: 10 });
  const client = await Client5.open(edge.port);
  const will = { topic: 't', payload: Buffer.alloc(11), qos: 0, retain: false };
  assert.equal((await client.connect('w', { will })).reasonCode, 0x95);
  assert.equal(metOf(edge, 'will_bytes'), 1);
  const fitting = { ...will, payload: Buffer.alloc(10) };
  await (await Client5.session(edge.port, 'w', { will: fitting })).disconnect();
});

test('connections of one address are bounded', async () => {
  const edge = await edgeWith({ connections_per_address: 2 });
  const first = await Client5.session(edge.port, 'a');
  const second = await Client5.session(edge.port, 'b');
  const third = await Client5.open(edge.port);
  assert.equal((await third.connect('c')).reasonCode, 0x97);
  await third.closed;
  await first.disconnect();
  const fourth = await Client5.session(edge.port, 'd');
  assert.equal(metOf(edge, 'connections_per_address'), 1);
  await Promise.all([second.disconnect(), fourth.disconnect()]);
});

test('CONNECTs of one address have a rate', async () => {
  const edge = await edgeWith({ connect_rate_per_address: 2 });
  for (const code of [0, 0, 0x9f]) {
    const client = await Client5.open(edge.port);
    assert.equal((await client.connect('c')).reasonCode, code);
    await client.cut();
  }
  assert.equal(metOf(edge, 'connect_rate_per_address'), 1);
});

test('CONNECTs above the rate wait for their turn', async () => {
  const edge = await edgeWith({ connect_rate: 20 });
  const began = performance.now();
  const clients = await Promise.all(
    Array.from({ length: 30 }, (_, i) => Client5.session(edge.port, `c${i}`)),
  );
  const ms = performance.now() - began;
  assert.ok(ms > 350 && ms < 3_000, `${ms} ms`);
  await Promise.all(clients.map((client) => client.disconnect()));
});

test('of connections that say nothing the oldest gives way', async () => {
  const edge = await edgeWith({ connecting: 3, connect_seconds: 1 });
  const silent = [];
  for (let i = 0; i < 4; i++) silent.push(await RawClient.open(edge.port));
  await silent[0]?.closed;
  assert.equal(metOf(edge, 'connecting'), 1);
  await (await Client5.session(edge.port, 'c')).disconnect();
  await Promise.all(silent.map(({ closed }) => closed));
  assert.ok(metOf(edge, 'connect_seconds') >= 2);
});

test('a client over its rate is read slowly, loses nothing, and is not timed out for it', async () => {
  const edge = await edgeWith({ message_rate: 50 });
  const watcher = await TestClient.connect(edge.url);
  await watcher.subscribe('t');
  const client = await Client5.session(edge.port, 'c', { keepalive: 1 });
  const began = performance.now();
  for (let i = 0; i < 150; i++) {
    client.send({ cmd: 'publish', topic: 't', payload: `${i}`, qos: 0, dup: false, retain: false });
  }
  await watcher.expect(150);
  // What came in one go was dealt with in one go: it is the next that waits for it.
  client.send({ cmd: 'publish', topic: 't', payload: 'x', qos: 0, dup: false, retain: false });
  await watcher.expect(151);
  const ms = performance.now() - began;
  assert.ok(ms > 1_500 && ms < 6_000, `${ms} ms`);
  assert.ok(metOf(edge, 'message_rate') >= 1);
  client.send({ cmd: 'pingreq' });
  await client.nextOf('pingresp');
  await Promise.all([client.disconnect(), watcher.end()]);
});

test('bytes have a rate as messages do', async () => {
  const edge = await edgeWith({ byte_rate: 100_000 });
  const client = await Client5.session(edge.port, 'c');
  const began = performance.now();
  for (let i = 0; i < 5; i++) {
    const payload = Buffer.alloc(50_000);
    client.send({ cmd: 'publish', topic: 't', payload, qos: 0, dup: false, retain: false });
  }
  client.send({ cmd: 'pingreq' });
  await client.nextOf('pingresp');
  const ms = performance.now() - began;
  assert.ok(ms > 1_000 && ms < 5_000, `${ms} ms`);
  assert.ok(metOf(edge, 'byte_rate') >= 1);
  await client.disconnect();
});

test('keep alive has a floor and a ceiling, which MQTT 5 clients are told', async () => {
  const edge = await edgeWith({ keep_alive_seconds_min: 5, keep_alive_seconds_max: 60 });
  for (const [asked, told] of [
    [1, 5],
    [5, undefined],
    [0, 60],
    [61, 60],
  ] as const) {
    const client = await Client5.open(edge.port);
    const connack = await client.connect('k', { keepalive: asked });
    assert.equal(connack.properties?.['serverKeepAlive'], told);
    await client.disconnect();
  }
});

test('under memory pressure nobody new is let in, then slow readers go, then publishers wait', async () => {
  const watch = new MemoryWatch(
    { log: createLog({ level: 'silent', format: 'json', tier: 'test' }), metrics: new Metrics() },
    1_000,
  );
  const seen = [700, 800, 760, 749, 900, 951, 930, 899, 855, 849, 700].map((mb) => watch.look(mb));
  const [none, closed, shedding, holding] = ['none', 'closed', 'shedding', 'holding'];
  assert.deepEqual(seen, [
    ...[none, closed, closed, none, shedding, holding],
    ...[holding, shedding, shedding, closed, none],
  ]);
  const edge = await edgeWith({ memory_bytes: 1_000 });
  await until(() => /trunkline_memory_pressure 3/.test(edge.metrics.text()), 'memory is short');
  const client = await Client5.open(edge.port);
  assert.equal((await client.connect('c')).reasonCode, 0x89);
  await client.closed;
  assert.equal(metOf(edge, 'memory_bytes'), 1);
});

const skip = hasPrlimit ? false : 'prlimit is not installed';

test('connections leave the edge the files that it needs itself', { skip }, async () => {
  const within = ['prlimit', '--nofile=400'];
  const edge = await startProcess('edge', { within });
  const url = `mqtt://127.0.0.1:${edge.port('mqtt')}`;
  const client = await TestClient.connect(url);
  await client.subscribe('t', 1);
  const raws = await Promise.all(
    Array.from({ length: 500 }, () => RawClient.open(edge.port('mqtt')).catch(() => null)),
  );
  const met = 'trunkline_limits_met_total{limit="connections"}';
  await until(async () => (await metric(edge, met)) >= 200, 'some are turned away');
  assert.ok((await metric(edge, 'trunkline_connections')) <= 400 - descriptorsReserved);
  await client.publish('t', 'still served', { qos: 1 });
  await client.expect(1);
  assert.match(edge.stderr + edge.stdout, /fewer connections than configured/);
  for (const raw of raws) raw?.destroy();
  await client.end();
  assert.deepEqual(await edge.stop(), { code: 0, signal: null });
});
