/**
 * What holds back whom: a core that commits slowly holds back publishers and nobody's memory, a lane
 * that is never acknowledged holds back itself, a stream that takes nothing is replaced.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { type Clock, systemClock } from '../../base/clock.ts';
import { laneCreditBytes } from '../../base/limits.ts';
import { laneOf } from '../../base/topic.ts';
import { Bridge } from '../../bridge/bridge.ts';
import { EdgeRules } from '../../bridge/rules/edge-rules.ts';
import type { LogAppend } from '../../core/backplane/backplane.ts';
import {
  type ControlRequest,
  type ControlResponse,
  type LaneRequest,
  type LaneResponse,
  TrunkServiceService,
  Welcome,
} from '../../proto/gen/trunkline/v1/trunk.ts';
import { TestClient } from '../support/clients.ts';
import { FakeSpool } from '../support/fake-spool.ts';
import { openLocalBroker } from '../support/local-broker.ts';
import { common, publication, TestCore, TestEdge, withFolder } from '../support/trunk-world.ts';
import { until } from '../support/until.ts';

/** Appends to the core's log wait until the answer is called; all, or those of one uplink lane. */
function holdAppends(core: TestCore, lane: number | null = null) {
  const { backplane } = core;
  const append = backplane.append.bind(backplane);
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const waiting = { bytes: 0, bytesMax: 0, release };
  backplane.append = async (batches: readonly LogAppend[]) => {
    const isHeld = lane === null || batches.some(({ source }) => source?.lane === lane);
    if (!isHeld) return await append(batches);
    const all = batches.flatMap((batch) => batch.publications);
    const bytes = all.reduce((sum, { payload }) => sum + payload.length, 0);
    waiting.bytes += bytes;
    waiting.bytesMax = Math.max(waiting.bytesMax, waiting.bytes);
    await held;
    waiting.bytes -= bytes;
    return await append(batches);
  };
  return waiting;
}

const bridgeOptions = { region: 'here', token: '', softwareVersion: 'test' };

test('a core that does not commit stops publishers of QoS 1 by way of the spool, and loses nothing', async () => {
  await withFolder(async (folder) => {
    const core = await TestCore.open(join(folder, 'log.db'));
    const edge = await openLocalBroker({ limits: { spool_bytes: 1_000_000 } });
    const held = holdAppends(core);
    const parts = { ...common(), clock: systemClock };
    const bridge = new Bridge(
      { ...parts, spool: edge.spool.uplink, rules: new EdgeRules(parts) },
      { ...bridgeOptions, edgeId: 'slow', cores: [`127.0.0.1:${core.port}`] },
    );
    const client = await TestClient.connect(edge.url);
    try {
      bridge.start(edge.broker.localDelivery);
      await bridge.onceConnected();
      const filler = 'x'.repeat(20_000);
      let acked = 0;
      const sending = Array.from({ length: 200 }, (_, i) =>
        client.publish('slow/topic', `${i} ${filler}`, { qos: 1 }).then(() => acked++),
      );
      await until(() => edge.spool.isSaturated && held.bytes > 0, 'the spool is full');
      const ackedWhenFull = acked;
      assert.ok(ackedWhenFull < 200);
      // QoS 0 has nothing to wait for.
      const other = await TestClient.connect(edge.url);
      await other.subscribe('calm', 0);
      await other.publish('calm', 'still here');
      await other.expect(1);
      await other.end();
      assert.ok(acked < 200, `${acked} of 200 acknowledged by a spool for 50`);
      assert.ok(held.bytesMax <= laneCreditBytes);
      held.release();
      await Promise.all(sending);
      await until(() => edge.spool.uplink.backlog === 0, 'everything is at the core');
      assert.equal(core.backplane.head(laneOf('slow/topic')) >= 200, true);
    } finally {
      held.release();
      await client.end();
      await bridge.close();
      await edge.discard();
      await core.close();
    }
  });
});

test('a lane that is never acknowledged delays neither control nor any other lane', async () => {
  await withFolder(async (folder) => {
    const core = await TestCore.open(join(folder, 'log.db'));
    const a = new TestEdge('a', core.port);
    const b = new TestEdge('b', core.port);
    const topics = Array.from({ length: 40 }, (_, i) => `lane/${i}`);
    const stalled = topics.filter((topic) => laneOf(topic) === laneOf('lane/0'));
    const others = topics.filter((topic) => laneOf(topic) !== laneOf('lane/0'));
    const held = holdAppends(core, laneOf('lane/0'));
    try {
      await a.start();
      await b.start();
      await b.want('lane/#');
      const filler = 'y'.repeat(50_000);
      const texts = Array.from({ length: 300 }, (_, i) => `${i} ${filler}`);
      a.spool.append(texts.map((text) => publication(stalled[0] as string, text)));
      await until(() => held.bytes > 100_000, 'the lane is stalled');
      for (let i = 0; i < 50; i++) {
        a.spool.append(others.map((topic) => publication(topic, String(i))));
      }
      await b.receives(others.length * 50);
      assert.equal(await b.want('more/#'), true);
      a.bridge.offer(publication(stalled[0] as string, 'live', { qos: 0 }));
      await until(() => b.payloads(stalled[0] as string).includes('live'), 'QoS 0 of that lane');
      assert.deepEqual(b.payloads(stalled[0] as string), ['live']);
      assert.ok(held.bytesMax <= laneCreditBytes, `${held.bytesMax} bytes waited at the core`);
      held.release();
      await until(() => a.spool.backlog === 0, 'everything acknowledged');
      await until(() => b.payloads(stalled[0] as string).length === 301, 'all of that lane');
      assert.deepEqual(b.payloads(stalled[0] as string).slice(1), texts);
    } finally {
      held.release();
      await a.bridge.close();
      await b.bridge.close();
      await core.close();
    }
  });
});

/** A core that welcomes and opens every lane, and reads nothing more of one of them. */
async function openDeafCore(deafLane: number) {
  const server = new Server();
  server.addService(TrunkServiceService, {
    control: (call: ServerDuplexStream<ControlRequest, ControlResponse>) => {
      call.on('error', () => {});
      call.on('data', ({ message }: ControlRequest) => {
        if (message?.$case === 'heartbeat') call.write({ message });
        if (message?.$case !== 'hello') return;
        const value = Welcome.decode(new Uint8Array());
        Object.assign(value, { laneCount: 4, heartbeatMs: 200, logEpoch: 'l' });
        call.write({ message: { $case: 'welcome', value } });
        const wanted = { version: 1, snapshot: true, added: ['#'], removed: [] };
        call.write({ message: { $case: 'wanted', value: wanted } });
      });
    },
    lane: (call: ServerDuplexStream<LaneRequest, LaneResponse>) => {
      call.on('error', () => {});
      call.on('data', ({ message }: LaneRequest) => {
        if (message?.$case !== 'open') return;
        const value = { durableThrough: 0, logEpoch: 'l', position: 0, creditBytes: 1_000_000 };
        call.write({ message: { $case: 'opened', value } });
        if (message.value.lane === deafLane) call.pause();
      });
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return { port, close: () => server.forceShutdown() };
}

test('a stream that takes nothing for too long is replaced, and what was shed is counted', async () => {
  const topic = 'deaf/topic';
  const core = await openDeafCore(laneOf(topic));
  // A second in fourteen milliseconds, for spans alone: timers run as they do.
  const clock: Clock = { ...systemClock, elapsed: () => performance.now() * 70 };
  const parts = { ...common(), clock };
  const bridge = new Bridge(
    { ...parts, spool: new FakeSpool('e'), rules: new EdgeRules(parts) },
    { ...bridgeOptions, edgeId: 'deaf', cores: [`127.0.0.1:${core.port}`] },
  );
  const delivery = new TestEdge('unused', 1);
  const replaced = () =>
    parts.metrics.text().includes('trunkline_links_replaced_total{reason="lane-stuck"} 1\n');
  const dropped = (reason: string) =>
    Number(
      new RegExp(`dropped_total\\{reason="${reason}"\\} (\\d+)`).exec(parts.metrics.text())?.[1],
    );
  try {
    bridge.start(delivery);
    await bridge.onceConnected();
    await until(() => bridge.wants(topic), 'the core wants it');
    const filler = 'z'.repeat(2_500);
    let offered = 0;
    await until(() => {
      for (let i = 0; i < 2_000 && !replaced(); i++) {
        bridge.offer(publication(topic, filler, { qos: 0 }));
        offered++;
      }
      return replaced();
    }, 'the link is replaced');
    assert.ok(dropped('link-full-qos0') > 0, 'what did not fit is counted');
    assert.ok(dropped('link-down-qos0') > 0, 'what waited is counted');
    const sent = parts.ledger.uplinked.value;
    assert.equal(sent + dropped('link-full-qos0') + dropped('link-down-qos0'), offered);
  } finally {
    await bridge.close();
    await delivery.bridge.close();
    core.close();
  }
});
