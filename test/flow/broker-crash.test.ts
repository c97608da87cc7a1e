/**
 * What holds when the process is killed at a given moment. The data folder is copied at that moment,
 * and an edge is opened on the copy: it finds what a start after the crash would find.
 */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { laneCount } from '../../base/limits.ts';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import {
  ackPacket,
  connectPacket,
  packet,
  packetIdOf,
  publishPacket,
  RawClient,
} from '../support/raw-client.ts';
import { until } from '../support/until.ts';

let edge: LocalBroker;
let opened: LocalBroker[];

beforeEach(async () => {
  edge = await openLocalBroker();
  opened = [edge];
});

afterEach(async () => {
  for (const one of opened) {
    await one.close();
    await rm(one.data, { recursive: true, force: true });
  }
});

async function startAfterCrash(): Promise<LocalBroker> {
  const copy = await mkdtemp(join(tmpdir(), 'trunkline-crash-'));
  await cp(edge.data, copy, { recursive: true });
  const next = await openLocalBroker({}, copy);
  opened.push(next);
  return next;
}

async function sessionPresent(at: LocalBroker, clientId: string): Promise<number | undefined> {
  const raw = await RawClient.open(at.port);
  raw.send(connectPacket(clientId, { clean: false }));
  const connack = await raw.nextOf(2);
  raw.destroy();
  return connack.body[0];
}

function text(value: string): Buffer {
  return Buffer.concat([Buffer.of(0, value.length), Buffer.from(value)]);
}

function connectWithWill(clientId: string, will: string): Buffer {
  const fields = [text(clientId), text('will/x'), text(will)];
  // A clean session, and a will of QoS 1.
  return packet(0x10, text('MQTT'), Buffer.of(4, 0x0e, 0, 60), ...fields);
}

test('a kept session is there after a crash from the moment of its CONNACK', async () => {
  const raw = await RawClient.session(edge.port, 'new', false);
  const next = await startAfterCrash();
  assert.equal(await sessionPresent(next, 'new'), 1);
  raw.destroy();
});

test('a kept session that was discarded stays so after a crash', async () => {
  const kept = await TestClient.connect(edge.url, { clientId: 'old', clean: false });
  await kept.subscribe('old/#', 1);
  await kept.end();
  const clean = await RawClient.session(edge.port, 'old');
  const next = await startAfterCrash();
  assert.equal(await sessionPresent(next, 'old'), 0);
  clean.destroy();
});

test('a packet identifier of QoS 2 is recognised after the log let go of its message', async () => {
  const spools = async (at: LocalBroker) =>
    (await readdir(join(at.data, 'edge', 'spool'))).filter((name) => name.endsWith('.spool'));
  const freed = async (at: LocalBroker) => {
    // As the core would: everything that goes up is durable there.
    for (let lane = 0; lane < laneCount; lane++) at.spool.uplink.acknowledge(lane, 1_000);
    await until(async () => (await spools(at)).length === 1, 'the old segments are freed');
  };
  const raw = await RawClient.session(edge.port, 'sender', false);
  raw.send(publishPacket('two', 'once', { qos: 2, packetId: 9 }));
  await raw.nextOf(5);
  raw.destroy();
  const second = await startAfterCrash();
  await freed(second);
  edge = second;
  const third = await startAfterCrash();
  const watcher = await TestClient.connect(third.url);
  await watcher.subscribe('two', 2);
  const resumed = await RawClient.session(third.port, 'sender', false);
  resumed.send(publishPacket('two', 'once', { qos: 2, packetId: 9, dup: true }));
  assert.equal(packetIdOf(await resumed.nextOf(5)), 9);
  resumed.send(ackPacket(6, 9));
  await resumed.nextOf(7);
  // Released: it now carries another message, also when this process is killed.
  await freed(third);
  edge = third;
  const fourth = await startAfterCrash();
  const late = await TestClient.connect(fourth.url);
  await late.subscribe('two', 2);
  const again = await RawClient.session(fourth.port, 'sender', false);
  again.send(publishPacket('two', 'other', { qos: 2, packetId: 9 }));
  await again.nextOf(5);
  await late.expect(1);
  await watcher.roundTrip();
  assert.deepEqual([watcher.texts, late.texts], [[], ['other']]);
  for (const one of [resumed, again]) one.destroy();
  await Promise.all([watcher.end(), late.end()]);
});

test('the wills of all that were connected are published after a crash, in few commits', async () => {
  const watcher = await TestClient.connect(edge.url, { clientId: 'watcher', clean: false });
  await watcher.subscribe('will/#', 1);
  await watcher.end();
  const clients = await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const raw = await RawClient.open(edge.port);
      raw.send(connectWithWill(`device-${i}`, `will of ${i}`));
      await raw.nextOf(2);
      return raw;
    }),
  );
  const next = await startAfterCrash();
  const commits = /trunkline_spool_commits_total (\d+)/.exec(next.metrics.text())?.[1];
  assert.ok(Number(commits) < 50, `${commits} commits`);
  const back = await TestClient.connect(next.url, { clientId: 'watcher', clean: false });
  await back.expect(200);
  assert.equal(new Set(back.texts).size, 200);
  for (const one of clients) one.destroy();
  await back.end();
});

test('a will of a connection that took over outlives the one that it followed', async () => {
  const watcher = await TestClient.connect(edge.url, { clientId: 'watcher', clean: false });
  await watcher.subscribe('will/#', 1);
  const first = await RawClient.open(edge.port);
  first.send(connectWithWill('device', 'first'));
  await first.nextOf(2);
  const second = await RawClient.open(edge.port);
  second.send(connectWithWill('device', 'second'));
  await second.nextOf(2);
  await watcher.expect(1);
  await watcher.end();
  // Past the time in which rows that nobody waits for are written.
  await new Promise((resolve) => setTimeout(resolve, 500));
  const next = await startAfterCrash();
  const back = await TestClient.connect(next.url, { clientId: 'watcher', clean: false });
  await back.expect(1);
  assert.deepEqual([watcher.texts, back.texts], [['first'], ['second']]);
  for (const one of [first, second]) one.destroy();
  await back.end();
});
