/**
 * Disks that become full under load, one after the other: those of the publishers' edge, of the core
 * and of the subscriber's edge. Nothing is acknowledged that cannot be kept, and once there is room
 * everything goes on by itself.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attached, interested, urlOf } from '../support/fleet.ts';
import { MetricsText } from '../support/metrics-text.ts';
import { MixedPublisher, MixedSubscriber } from '../support/mixed-load.ts';
import { type RunningProcess, startProcess } from '../support/processes.ts';
import { Random } from '../support/random.ts';
import { SmallDisks } from '../support/small-disks.ts';
import { until } from '../support/until.ts';

test('a full disk delays and loses nothing, at either edge and at the core', {
  timeout: 120_000,
}, async (t) => {
  const random = Random.fromEnvironment();
  t.diagnostic(`TRUNKLINE_SEED=${random.seed}`);
  const disks = await SmallDisks.open();
  const { within } = disks;
  const core = await startProcess('core', { data: await disks.folder(), within });
  const edges: RunningProcess[] = [];
  for (const id of ['edge-a', 'edge-b']) {
    const flags = ['--edge-id', id, '--edge-cores', `127.0.0.1:${core.port('trunk')}`];
    const deep = ['--limits-queue-messages', '1000000'];
    const data = await disks.folder();
    edges.push(await startProcess('edge', { data, within, flags: [...flags, ...deep] }));
  }
  await attached(core, 2);
  const [a, b] = edges as [RunningProcess, RunningProcess];
  const subscriber = await MixedSubscriber.open(urlOf(b), 'kept');
  await interested(core, 'edge-b', 1);
  const publisher = new MixedPublisher(urlOf(a), 'publisher', random);
  publisher.start();
  await publisher.ackedMore(100);

  const failures = [
    { who: a, metric: 'trunkline_spool_failures_total' },
    { who: core, metric: 'trunkline_log_commit_failures_total' },
    { who: b, metric: 'trunkline_spool_failures_total' },
  ];
  for (const { who, metric } of failures) {
    const before = (await MetricsText.of(who)).sum(metric);
    await disks.fill(who.data, 0);
    await until(
      async () => (await MetricsText.of(who)).sum(metric) > before,
      `${metric} counts it`,
      20_000,
    );
    if (who === a) {
      const { size } = publisher.acked;
      await until(async () => (await MetricsText.of(a)).sum(metric) > before + 2, 'it tries again');
      assert.equal(publisher.acked.size, size, 'nothing is acknowledged meanwhile');
    }
    await disks.free(who.data);
    await publisher.ackedMore(100);
    const seen = subscriber.count;
    await until(() => subscriber.count >= seen + 100, 'messages go through again', 20_000);
  }
  await publisher.stop();
  const books = await subscriber.settle(publisher.acked, 30_000);
  t.diagnostic(`acked ${publisher.acked.size} lost ${books.lost.length}`);
  assert.deepEqual(books, { lost: [], doubled: [], reordered: [] });
  subscriber.client.end(true);
  await disks.close();
});
