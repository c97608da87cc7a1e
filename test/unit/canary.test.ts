/** Canaries in the real spool: on the lane they name, no broker's business, and no more than one. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { canaryTopic } from '../../base/canary.ts';
import { Canary } from '../../bridge/canary.ts';
import { OldestUnacked } from '../../bridge/oldest-unacked.ts';
import type { UplinkRecord } from '../../bridge/ports.ts';
import { Spool } from '../../bridge/spool.ts';
import { common, publication } from '../support/trunk-world.ts';
import { until } from '../support/until.ts';

const commit = { lingerMs: 0, bytesMax: 1024 * 1024 };

async function withSpool(
  work: (open: () => Promise<{ spool: Spool; parts: ReturnType<typeof common> }>) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-canary-'));
  try {
    await work(async () => {
      const parts = common();
      const options = { directory: folder, bytesMax: 1e8, commit };
      return { parts, spool: await Spool.open(parts, { ...options, durability: 'disk' }) };
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const canaryOf = (lane: number) => publication(canaryTopic('edge', lane), 'x');

test('a canary takes the next place of the lane that it names, whatever its topic', async () => {
  await withSpool(async (open) => {
    const { parts, spool } = await open();
    const sent: UplinkRecord[] = [];
    spool.uplink.onUplink((records) => sent.push(...records()));
    assert.equal(spool.uplink.appendCanary(5, canaryOf(5)), 1);
    assert.equal(spool.uplink.appendCanary(5, canaryOf(5)), 2);
    assert.equal(spool.uplink.appendCanary(0, canaryOf(0)), 1);
    await until(() => sent.length === 3, 'they are durable');
    assert.deepEqual(
      sent.map(({ lane, laneSequence }) => `${lane}/${laneSequence}`),
      ['5/1', '5/2', '0/1'],
    );
    assert.equal(spool.uplink.stageOf(5, 2), 'spooled');
    spool.uplink.noteSent(5, 2);
    spool.uplink.acknowledge(5, 1);
    assert.equal(spool.uplink.stageOf(5, 1), 'acknowledged');
    assert.equal(spool.uplink.stageOf(5, 2), 'sent');
    assert.equal(spool.uplink.stageOf(5, 3), null);
    assert.match(parts.metrics.text(), /trunkline_trunk_spooled_total\{lane="5"\} 2\n/);
    await spool.close();
  });
});

test('after a restart a canary still goes up, and the broker is not told of it', async () => {
  await withSpool(async (open) => {
    const first = await open();
    first.spool.uplink.appendCanary(1, canaryOf(1));
    await first.spool.close();
    const { parts, spool } = await open();
    const entries: unknown[] = [];
    for await (const chunk of spool.read(1)) entries.push(...chunk);
    assert.deepEqual(entries, []);
    assert.equal(spool.uplink.backlogOf(1), 1);
    assert.match(parts.metrics.text(), /trunkline_trunk_spooled_total\{lane="1"\} 1\n/);
    spool.uplink.acknowledge(1, 1);
    assert.equal(spool.uplink.backlog, 0);
    await spool.close();
  });
});

test('the age of the oldest message is known from before a restart, and of what follows', async () => {
  await withSpool(async (open) => {
    const first = await open();
    const old = { ...publication('a/b', 'x'), acceptedAt: Date.now() - 60_000 };
    const entry = { kind: 'publication', clientId: 'c', packetId: 1 } as const;
    first.spool.append({ ...entry, publication: old, source: { kind: 'device' } });
    await first.spool.close();
    const { parts, spool } = await open();
    const lane = spool.uplink.laneFor('a/b');
    const oldest = new OldestUnacked({ ...parts, spool: spool.uplink });
    await until(() => oldest.ageMs(lane) >= 60_000, 'the old one is read');
    spool.append({
      ...entry,
      packetId: 2,
      publication: publication('a/b', 'y'),
      source: { kind: 'device' },
    });
    await until(() => spool.uplink.backlogOf(lane) === 2, 'the new one is durable');
    oldest.look();
    spool.uplink.acknowledge(lane, 1);
    const age = oldest.ageMs(lane);
    assert.ok(age < 10_000, `the new one has waited ${age} ms`);
    spool.uplink.acknowledge(lane, 2);
    assert.equal(oldest.ageMs(lane), 0);
    await oldest.close();
    await spool.close();
  });
});

const others = [0, 1, 3, 4, 5];

/** A clock that the test turns. */
function handClock() {
  let now = 1_000;
  const clock = {
    now: () => now,
    elapsed: () => now,
    after: () => () => {},
    every: () => () => {},
  };
  return { clock, turn: (ms: number) => (now += ms) };
}

test('a lane behind a backlog that goes up grows old, and is not given up while it moves', async () => {
  await withSpool(async (open) => {
    const { parts, spool } = await open();
    const { clock, turn } = handClock();
    const { uplink } = spool;
    for (let i = 0; i < 100; i++) uplink.appendCanary(2, canaryOf(2));
    await until(() => uplink.backlogOf(2) === 100, 'the backlog is durable');
    const options = { edgeId: 'edge', everyMs: 10_000 };
    const canary = new Canary({ ...parts, clock, spool: uplink }, options);
    canary.linkUp(true);
    assert.equal(canary.tick(), null);
    await until(() => uplink.newestOf(2) === 101, 'the canary is durable');
    for (let through = 1; through <= 90; through++) {
      turn(1_000);
      uplink.acknowledge(2, through);
      for (const lane of others) {
        canary.came(canaryOf(lane));
        uplink.acknowledge(lane, uplink.newestOf(lane));
      }
      assert.equal(canary.tick(), null, `given up after ${through} s`);
    }
    assert.equal(Math.round(canary.ageMs(2) / 1_000), 90);
    assert.equal(canary.isOverdue(2), true);
    let stuck: number | null = null;
    for (let second = 0; second < 40 && stuck === null; second++) {
      turn(1_000);
      for (const lane of others) canary.came(canaryOf(lane));
      stuck = canary.tick();
    }
    assert.equal(stuck, 2);
    await spool.close();
  });
});
