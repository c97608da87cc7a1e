/**
 * A core that stands still: its process is stopped, so that the kernel goes on taking bytes and closing
 * nothing. The edge notices within the bound, says why, keeps what is published, and is whole when the
 * core goes on.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import mqtt from 'mqtt';
import { attached, metric, urlOf } from '../support/fleet.ts';
import { MetricsText } from '../support/metrics-text.ts';
import { type RunningProcess, startProcess } from '../support/processes.ts';
import { until } from '../support/until.ts';

/** From the stop to the end of the link. */
const noticedMsMax = 10_000;

const running: RunningProcess[] = [];
after(() => Promise.all(running.map((one) => one.kill())));

test('a core that is stopped is noticed within 10 s, and nothing is lost when it goes on', async (t) => {
  const core = await startProcess('core');
  const flags = ['--edge-id', 'edge-a', '--edge-cores', `127.0.0.1:${core.port('trunk')}`];
  const edge = await startProcess('edge', { flags });
  running.push(edge, core);
  await attached(core, 1);
  await until(async () => (await metric(edge, 'trunkline_link_up')) === 1, 'the link is up');
  const stoppedAt = performance.now();
  process.kill(core.pid, 'SIGSTOP');
  const client = await mqtt.connectAsync(urlOf(edge));
  const isDown = async () => (await metric(edge, 'trunkline_link_up')) === 0;
  try {
    await client.publishAsync('stopped/x', 'kept', { qos: 1 });
    await until(isDown, 'the link is given up', noticedMsMax);
    t.diagnostic(`noticed after ${Math.round(performance.now() - stoppedAt)} ms`);
  } finally {
    process.kill(core.pid, 'SIGCONT');
    await client.endAsync(true);
  }
  const books = await MetricsText.of(edge);
  assert.equal(books.sum('trunkline_links_replaced_total'), 1);
  assert.deepEqual(books.valuesOf('trunkline_links_replaced_total', 'reason').length, 1);
  assert.ok(books.sum('trunkline_trunk_backlog') >= 1);
  await until(async () => (await metric(edge, 'trunkline_spool_backlog')) === 0, 'it goes up');
});
