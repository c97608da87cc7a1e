/** Two workers on the same ports: whose a device is, by whatever way it comes. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import mqtt, { type IConnackPacket } from 'mqtt';
import { ownerOf } from '../../cli/workers/owner.ts';
import { hasOpenssl, makeCertificate } from '../support/certificate.ts';
import { TestClient } from '../support/clients.ts';
import { metric } from '../support/fleet.ts';
import { type RunningProcess, startProcess, temporaryFolder } from '../support/processes.ts';
import { connectPacket, publishPacket, RawClient } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { idOf, isAlive, pidOf, untilConnections } from '../support/workers.ts';

const folder = temporaryFolder();
const clients: TestClient[] = [];
let edge: RunningProcess;
let port = 0;
let ways: [string, object][] = [];

before(async () => {
  const tls = hasOpenssl ? makeCertificate(folder) : null;
  const flags = tls === null ? [] : ['--tls-cert', tls.cert, '--tls-key', tls.key];
  edge = await startProcess('edge', {
    flags: ['--workers', '2', ...flags],
    env: { TMPDIR: folder },
  });
  port = edge.port('mqtt');
  const ca = tls === null ? undefined : readFileSync(tls.cert);
  ways = [
    [`mqtt://127.0.0.1:${port}`, {}],
    [`ws://127.0.0.1:${edge.port('ws')}/mqtt`, {}],
  ];
  if (tls === null) return;
  ways.push([`mqtts://127.0.0.1:${edge.port('mqtts')}`, { ca }]);
  ways.push([`wss://127.0.0.1:${edge.port('wss')}/mqtt`, { ca }]);
});

after(async () => {
  await Promise.all(clients.map((client) => client.mqtt.endAsync(true)));
});

async function enter(clientId: string, way: number, clean = true): Promise<TestClient> {
  const [url, options] = ways[way % ways.length]!;
  const client = await TestClient.connect(url, { ...options, clientId, clean });
  clients.push(client);
  return client;
}

function relayFolders(): string[] {
  return readdirSync(folder).filter((name) => name.startsWith('trunkline-edge-'));
}

test('devices go to the workers that own their identifiers, about as many to each', async () => {
  const ids = Array.from({ length: 60 }, (_, i) => `spread-${i}`);
  const first = ids.filter((id) => ownerOf(Buffer.from(id), 2) === 1).length;
  assert.ok(first > 15 && first < 45, `${first} of 60`);
  const raws = await Promise.all(ids.map((id) => RawClient.session(port, id)));
  await untilConnections(edge, [first, 60 - first]);
  for (const raw of raws) raw.destroy();
  await untilConnections(edge, [0, 0]);
});

for (const worker of [1, 2]) {
  const counts = [worker === 1 ? 1 : 0, worker === 2 ? 1 : 0];

  test(`an identifier of worker ${worker} that connects 20 times is one connection, there`, async () => {
    const id = idOf(worker, 'again');
    const raws: RawClient[] = [];
    for (let i = 0; i < 10; i++) raws.push(await RawClient.session(port, id));
    // Together: each but one is answered or closed, then taken over.
    for (let i = 0; i < 10; i++) raws.push(await RawClient.open(port));
    for (const raw of raws.slice(10)) raw.send(connectPacket(id));
    let closed = 0;
    for (const raw of raws) void raw.closed.then(() => closed++);
    await until(() => closed === 19, 'all but one are closed');
    await untilConnections(edge, counts);
    for (const raw of raws) raw.destroy();
    await untilConnections(edge, [0, 0]);
  });

  test(`an identifier of worker ${worker} is taken over across TCP, WebSocket and TLS`, async () => {
    const id = idOf(worker, 'ways');
    // More than once round, so that each way meets either worker first.
    for (let way = 0; way < ways.length * 2 + 1; way++) {
      const earlier = clients.at(-1);
      const left = earlier?.mqtt.connected ? closeOf(earlier) : Promise.resolve();
      const client = await enter(id, way);
      await left;
      await client.roundTrip();
    }
    await untilConnections(edge, counts);
    await clients.at(-1)?.end();
    await untilConnections(edge, [0, 0]);
  });

  test(`a kept session at worker ${worker} is resumed by whichever way its device comes`, async () => {
    const id = idOf(worker, 'kept');
    const device = await enter(id, 0, false);
    await device.subscribe('kept/#', 1);
    const sender = await enter(idOf(worker, 'sender'), 0);
    await device.end();
    for (let way = 0; way < ways.length * 2; way++) {
      await sender.publish(`kept/${way}`, `${way}`, { qos: 1 });
      const back = await enter(id, way, false);
      assert.equal(back.sessionPresent, true);
      await back.expect(1);
      assert.deepEqual(back.texts, [`${way}`]);
      await back.end();
    }
    await sender.end();
  });
}

function closeOf(client: TestClient): Promise<void> {
  return new Promise((resolve) => client.mqtt.once('close', () => resolve()));
}

test('large messages pass whole through a relay, both ways', async () => {
  const before = await relays();
  const pairs = [1, 2].flatMap((worker) =>
    ways.slice(1).map((_, way) => [idOf(worker, `large-${way}`), way + 1] as const),
  );
  for (const [id, way] of pairs) {
    const client = await enter(id, way);
    await client.subscribe(`large/${id}`, 1);
    const texts = [1, 2, 3].map((n) => `${n}`.repeat(700_000));
    await Promise.all(texts.map((text) => client.publish(`large/${id}`, text, { qos: 1 })));
    await client.expect(3);
    assert.deepEqual(client.texts, texts);
    await client.end();
  }
  assert.ok((await relays()) > before);
});

async function relays(): Promise<number> {
  const [one, two] = [1, 2].map((n) => metric(edge, `trunkline_relays_total{worker="${n}"}`));
  return ((await one) as number) + ((await two) as number);
}

test('what a client sends behind CONNECT without waiting is not lost on the way', async () => {
  for (const worker of [1, 2]) {
    const id = idOf(worker, 'pipelined');
    const watcher = await enter(idOf(worker, 'watcher'), 0);
    await watcher.subscribe('pipelined', 1);
    const raw = await RawClient.open(port);
    raw.send(connectPacket(id));
    for (let i = 1; i <= 3_000; i++) {
      raw.send(publishPacket('pipelined', `${i}`.padEnd(100), { qos: 1, packetId: i }));
      // Some while the connection is on its way, some after.
      if (i % 300 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await watcher.expect(3_000);
    assert.equal(new Set(watcher.texts).size, 3_000);
    raw.destroy();
    await watcher.end();
  }
});

test('a CONNECT that comes byte by byte, or with nobody in it, finds a worker', async () => {
  const raw = await RawClient.open(port);
  for (const byte of connectPacket(idOf(2, 'slow'))) {
    raw.send([byte]);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal((await raw.next()).type, 2);
  raw.destroy();
  for (let i = 0; i < 4; i++) (await RawClient.session(port, '')).destroy();
  await untilConnections(edge, [0, 0]);
});

test('a client that was given its identifier comes back to its session with it', async () => {
  const [url] = ways[0]!;
  const options = { protocolVersion: 5, properties: { sessionExpiryInterval: 60 } } as const;
  for (let i = 0; i < 4; i++) {
    const client = mqtt.connect(url, { ...options, clientId: '', clean: true, reconnectPeriod: 0 });
    const connack = await new Promise<IConnackPacket>((resolve, reject) => {
      client.once('connect', resolve).once('error', reject);
    });
    await client.endAsync();
    const clientId = connack.properties?.assignedClientIdentifier ?? '';
    const back = await TestClient.connect(url, { ...options, clientId, clean: false });
    assert.equal(back.sessionPresent, true);
    await back.end();
  }
});

test('what is not MQTT, or leaves before it says who it is, is closed and counted', async () => {
  for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\x10\xff\xff\xff\xff\xff']) {
    const raw = await RawClient.open(port);
    raw.send(Buffer.from(bytes, 'latin1'));
    await raw.closed;
  }
  const quiet = await RawClient.open(port);
  quiet.socket.end();
  await quiet.closed;
  const sample = 'trunkline_door_refused_total{worker="supervisor",reason="closed-by-client"}';
  await until(async () => (await metric(edge, sample)) === 1, 'it is counted');
});

test('only workers may bring connections by relay', async () => {
  const [name] = relayFolders();
  const directory = join(folder, name!);
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  const path = join(directory, 'worker-1.sock');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const forged = { token: '0'.repeat(64), listener: 'ws', remoteAddress: '192.0.2.1:1' };
  for (const line of [`${JSON.stringify(forged)}\n`, '{}\n', 'x'.repeat(20_000)]) {
    const socket = connect(path);
    socket.on('error', () => {});
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(line);
    socket.resume();
    await closed;
  }
  const sample = 'trunkline_door_refused_total{worker="1",reason="relay-unknown"}';
  await until(async () => (await metric(edge, sample)) === 3, 'they are counted');
});

test('one scrape has the samples of all workers, each family once', async () => {
  const url = `http://127.0.0.1:${edge.port('http')}`;
  const text = await (await fetch(`${url}/metrics`)).text();
  const families = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  assert.equal(new Set(families).size, families.length);
  for (const worker of ['1', '2', 'supervisor']) {
    assert.match(text, new RegExp(`^trunkline_build_info\\{worker="${worker}",`, 'm'));
  }
  const ready = await fetch(`${url}/readyz`);
  assert.equal(ready.status, 200);
  const { reasons } = (await ready.json()) as { reasons: string[] };
  assert.deepEqual(
    reasons.map((reason) => reason.slice(0, 24)),
    ['worker 1: no core in rea', 'worker 2: no core in rea'],
  );
});

test('SIGTERM with devices on all doors ends it in order and leaves nothing behind', async () => {
  for (const [way] of ways.entries()) {
    for (const worker of [1, 2]) await enter(idOf(worker, `last-${way}`), way);
  }
  const halves = await Promise.all([port, edge.port('ws')].map((one) => RawClient.open(one)));
  const pids = [1, 2].map((worker) => pidOf(edge, worker));
  assert.deepEqual(pids.map(isAlive), [true, true]);
  const startedAt = performance.now();
  assert.deepEqual(await edge.stop(), { code: 0, signal: null });
  assert.ok(performance.now() - startedAt < 4_000);
  assert.deepEqual(pids.map(isAlive), [false, false]);
  assert.deepEqual(relayFolders(), []);
  assert.doesNotMatch(edge.stderr, /Warning/);
  for (const half of halves) half.destroy();
});
