/** An outage's backlog goes up at its pace, what is live passes it where order allows. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { laneOf } from '../../base/topic.ts';
import { FakeSpool } from '../support/fake-spool.ts';
import { publication, TestCore, TestEdge, withFolder } from '../support/trunk-world.ts';
import { until } from '../support/until.ts';

const behind = 'lane/0';
const other = ['lane/1', 'lane/2', 'lane/3', 'lane/4', 'lane/5'].find(
  (topic) => laneOf(topic) !== laneOf(behind),
) as string;

const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i));

/** An edge with a backlog on one lane, and one that wants everything. */
async function withBacklog(
  of: { readonly count: number; readonly replayRate: number },
  work: (a: TestEdge, b: TestEdge) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const core = await TestCore.open(join(folder, 'log.db'));
    const spool = new FakeSpool('epoch-of-a');
    spool.append(numbers(of.count).map((n) => publication(behind, n)));
    const a = new TestEdge('a', core.port, { spool, bridge: { replayRate: of.replayRate } });
    const b = await new TestEdge('b', core.port).start();
    try {
      await b.want('lane/#');
      await a.start();
      await work(a, b);
    } finally {
      await a.bridge.close();
      await b.bridge.close();
      await core.close();
    }
  });
}

test('QoS 0 of a lane passes its backlog, and lanes without one are not delayed', async () => {
  await withBacklog({ count: 2_000, replayRate: 1_000 }, async (a, b) => {
    await until(() => a.bridge.wants(behind), 'the core wants it');
    a.bridge.offer(publication(behind, 'live', { qos: 0 }));
    a.spool.append([publication(other, 'other lane')]);
    await until(() => b.payloads(other).length === 1, 'the other lane');
    await until(() => b.payloads(behind).includes('live'), 'QoS 0');
    assert.ok(a.spool.backlog > 1_000, `${a.spool.backlog} of the backlog were left`);
    a.spool.append([publication(behind, 'last')]);
    await b.receives(2_003);
    const spooled = b.payloads(behind).filter((text) => text !== 'live');
    assert.deepEqual(spooled, [...numbers(2_000), 'last']);
  });
});

test('the backlog goes up at the pace, and the time that it takes is told', async () => {
  await withBacklog({ count: 4_000, replayRate: 1_000 }, async (a, b) => {
    const start = performance.now();
    await until(() => a.bridge.replay().emptyInSeconds > 0, 'an estimate');
    const { backlog, emptyInSeconds, ratePerSecond } = a.bridge.replay();
    assert.ok(ratePerSecond > 300 && ratePerSecond < 3_000, `${ratePerSecond} a second`);
    assert.ok(emptyInSeconds <= (backlog / ratePerSecond) * 2 + 1, `${emptyInSeconds} s left`);
    await b.receives(4_000);
    const seconds = (performance.now() - start) / 1_000;
    assert.ok(seconds > 3, `4,000 at 1,000 a second took ${seconds} s`);
    await until(() => a.bridge.replay().backlog === 0, 'all acknowledged');
    assert.equal(a.bridge.replay().emptyInSeconds, 0);
    assert.ok(a.parts.metrics.text().includes('trunkline_spool_read_back_total 4000\n'));
  });
});

test('what is accepted during a replay does not wait for the pace: the backlog shrinks by all of it', async () => {
  await withBacklog({ count: 500, replayRate: 500 }, async (a, b) => {
    const start = performance.now();
    for (let i = 0; i < 20; i++) {
      a.spool.append(numbers(500).map((n) => publication(behind, n)));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await b.receives(10_500);
    // At 500 a second the whole would take 21 seconds.
    assert.ok(performance.now() - start < 8_000);
  });
});
