/**
 * Canaries over real sockets: they prove each lane through the core and back, touch nobody else, and
 * a way that is stuck while heartbeats go on is noticed and left.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { canaryLane, canaryTopic, isCanary } from '../../base/canary.ts';
import { laneCount } from '../../base/limits.ts';
import { laneOf } from '../../base/topic.ts';
import type { LogBatch } from '../../core/backplane/backplane.ts';
import { publication, TestCore, TestEdge, withFolder } from '../support/trunk-world.ts';
import { until } from '../support/until.ts';

const canaryMs = 200;

interface World {
  readonly core: TestCore;
  readonly open: (id: string, options?: { canaryMs?: number }) => Promise<TestEdge>;
}

async function withCore(work: (world: World) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const core = await TestCore.open(join(folder, 'log.db'));
    const edges: TestEdge[] = [];
    const open = (id: string, options = {}) => {
      const edge = new TestEdge(id, core.port, { bridge: { canaryMs, ...options } });
      edges.push(edge);
      return edge.start();
    };
    try {
      await work({ core, open });
    } finally {
      for (const edge of edges) await edge.bridge.close();
      await core.close();
    }
  });
}

function samples(edge: { parts: TestEdge['parts'] }, name: string): number[] {
  const lines = edge.parts.metrics.text().split('\n');
  const found = lines.filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return found.map((line) => Number(line.slice(line.lastIndexOf(' '))));
}

function sum(edge: { parts: TestEdge['parts'] }, name: string): number {
  return samples(edge, name).reduce((total, value) => total + value, 0);
}

/** The appended canaries of the core's log, by their topic. */
function canariesOf(core: TestCore): Map<string, number> {
  const seen = new Map<string, number>();
  core.backplane.onAppended((batches: readonly LogBatch[]) => {
    for (const { publications } of batches) {
      for (const { topic } of publications) {
        if (isCanary(topic)) seen.set(topic, (seen.get(topic) ?? 0) + 1);
      }
    }
  });
  return seen;
}

test('the canary of a lane names it, and the lanes of the log have one each', () => {
  const logLanes = new Set<number>();
  for (let lane = 0; lane < 6; lane++) {
    const topic = canaryTopic('edge-a', lane);
    assert.equal(canaryLane(topic, 'edge-a'), lane);
    assert.equal(canaryLane(topic, 'edge-b'), -1);
    assert.equal(laneOf(topic), lane % laneCount);
    logLanes.add(laneOf(topic));
  }
  assert.equal(logLanes.size, laneCount);
  assert.equal(isCanary('$trunkline/void'), false);
});

test('each lane is proven through the core and back, again and again', async () => {
  await withCore(async ({ core, open }) => {
    const seen = canariesOf(core);
    const edge = await open('edge-a');
    await until(() => [...seen.values()].filter((count) => count > 2).length === 6, 'six lanes');
    await until(() => sum(edge, 'trunkline_trunk_down_canaries_total') > 12, 'they come back');
    const ages = samples(edge, 'trunkline_trunk_proof_age_seconds');
    assert.equal(ages.length, 6);
    for (const age of ages) assert.ok(age < 3, `a proof is ${age} s old`);
    assert.deepEqual(edge.bridge.status().lanesUnproven, []);
    assert.ok(sum(edge, 'trunkline_canary_seconds_count') > 6);
  });
});

test('canaries reach no session, no other edge and no subscriber, and are in no ledger', async () => {
  await withCore(async ({ core, open }) => {
    const edge = await open('edge-a');
    const other = await open('edge-b', { canaryMs: 0 });
    await other.want('$trunkline/#');
    await edge.want('$trunkline/#');
    const delivered: string[] = [];
    const attachment = core.fanout.attach({
      id: 'gateway',
      deliver: (publications) => delivered.push(...publications.map(({ topic }) => topic)),
    });
    attachment.want('$trunkline/#');
    const back = () => sum(edge, 'trunkline_trunk_down_canaries_total');
    const before = back();
    await until(() => back() > before + 12, 'canaries come back');
    await other.want('real');
    edge.spool.append([publication('real', 'news')]);
    await other.receives(1);
    assert.deepEqual(other.payloads('real'), ['news']);
    assert.equal(other.received.length, 1);
    assert.deepEqual(edge.received, []);
    assert.deepEqual(delivered, []);
    await until(() => edge.spool.backlog === 0, 'all is acknowledged');
    await until(() => core.parts.ledger.uplinked.value === 1, 'one went up');
    assert.equal(edge.parts.ledger.uplinked.value, 1);
    assert.equal(edge.parts.ledger.downlinked.value, 0);
    assert.equal(core.parts.ledger.downlinked.value, 1);
    assert.equal(core.parts.metrics.text().includes('trunkline_retained 0'), true);
  });
});

test('while a link is down one canary a lane waits, not a queue of them', async () => {
  await withCore(async ({ core, open }) => {
    const edge = await open('edge-a', { canaryMs: 50 });
    await until(() => sum(edge, 'trunkline_trunk_down_canaries_total') > 6, 'canaries come back');
    await core.door.close();
    await until(() => !edge.bridge.isConnected, 'the link is down');
    const sent = sum(edge, 'trunkline_canaries_sent_total');
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(sum(edge, 'trunkline_canaries_sent_total'), sent);
    assert.ok(edge.spool.backlog <= 6, `${edge.spool.backlog} wait`);
    const [age = 0] = samples(edge, 'trunkline_trunk_proof_age_seconds');
    assert.ok(age >= 0.15, `the proof is ${age} s old`);
  });
});

test('a fan-out that is stuck while heartbeats go on is noticed, and its link replaced', async () => {
  await withCore(async ({ core, open }) => {
    // The log takes everything and nothing is read of it again.
    core.fanout.tail.find = () => undefined;
    core.backplane.read = () => new Promise(() => {});
    const edge = await open('edge-a');
    const links = new Set<unknown>();
    await until(() => {
      for (const event of core.sink.events) if (event === 'detached edge-a') links.add(event);
      return links.size > 0;
    }, 'the link is replaced');
    assert.ok(sum(edge, 'trunkline_links_replaced_total') >= 1);
    const text = edge.parts.metrics.text();
    assert.match(text, /trunkline_links_replaced_total\{reason="no-proof"\} [1-9]/);
  });
});

test('a broker that does not take what came is not the fault of the link', async () => {
  await withCore(async ({ open }) => {
    const edge = await open('edge-a');
    await edge.want('held/#');
    const other = await open('edge-b', { canaryMs: 0 });
    let release = () => {};
    edge.gate = new Promise((resolve) => {
      release = resolve;
    });
    for (let i = 0; i < 20; i++) other.spool.append([publication(`held/${i}`, 'x')]);
    await until(() => edge.bridge.status().lanesUnproven.length > 0, 'a lane is unproven');
    assert.equal(sum(edge, 'trunkline_links_replaced_total'), 0);
    assert.equal(edge.bridge.isConnected, true);
    release();
    await until(() => edge.bridge.status().lanesUnproven.length === 0, 'it is proven again');
    assert.equal(sum(edge, 'trunkline_links_lost_total'), 0);
  });
});

test('a core that sends none back is sent none', async () => {
  await withCore(async ({ core, open }) => {
    const { Welcome } = await import('../../proto/gen/trunkline/v1/trunk.ts');
    const { encode } = Welcome;
    Welcome.encode = (message, writer) => encode({ ...message, capabilities: [] }, writer);
    try {
      const edge = await open('edge-a', { canaryMs: 50 });
      await new Promise((resolve) => setTimeout(resolve, 150));
      assert.equal(sum(edge, 'trunkline_canaries_sent_total'), 0);
      assert.deepEqual(edge.bridge.status().lanesUnproven, []);
      assert.equal(core.sink.events.includes('detached edge-a'), false);
    } finally {
      Welcome.encode = encode;
    }
  });
});
