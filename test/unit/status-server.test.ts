/** The tiers' own HTTP, over real sockets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics } from '../../base/metrics.ts';
import { openProcessMetrics } from '../../base/process-metrics.ts';
import { type Readiness, StatusServer } from '../../base/status-server.ts';
import { takenPort } from '../support/ports.ts';

const options = {
  name: "the edge's status server",
  host: '127.0.0.1',
  port: 0,
  portFlag: 'edge-http-port',
  readiness: () => ({ ready: true, reasons: [] }),
};

async function withServer(
  change: Partial<{ metrics: Metrics; readiness: () => Readiness }>,
  run: (url: string) => Promise<void>,
): Promise<void> {
  const server = await StatusServer.open(
    { metrics: change.metrics ?? new Metrics() },
    { ...options, ...(change.readiness && { readiness: change.readiness }) },
  );
  try {
    await run(`http://127.0.0.1:${server.port}`);
  } finally {
    await server.close();
  }
}

test('/metrics shows every metric as Prometheus text', async () => {
  const metrics = new Metrics();
  metrics.counter('trunkline_things_total', 'Things.', { kind: 'a"b' }).add(3);
  await withServer({ metrics }, async (url) => {
    const response = await fetch(`${url}/metrics?x=1`);
    assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    assert.match(await response.text(), /^trunkline_things_total\{kind="a\\"b"\} 3$/m);
  });
});

test('/readyz tells why not with 503, and what is amiss with 200', async () => {
  let answer: Readiness = { ready: false, reasons: ['opening'] };
  await withServer({ readiness: () => answer }, async (url) => {
    const before = await fetch(`${url}/readyz`);
    assert.equal(before.status, 503);
    assert.deepEqual(await before.json(), { ready: false, reasons: ['opening'] });
    answer = { ready: true, reasons: ['no core'] };
    const later = await fetch(`${url}/readyz`);
    assert.equal(later.status, 200);
    assert.deepEqual(await later.json(), { ready: true, reasons: ['no core'] });
  });
});

test('/healthz answers, other paths are 404 and other methods 405', async () => {
  await withServer({}, async (url) => {
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
    assert.equal((await fetch(`${url}/healthz`, { method: 'HEAD' })).status, 200);
    assert.equal((await fetch(`${url}/`)).status, 404);
    const post = await fetch(`${url}/metrics`, { method: 'POST', body: 'x' });
    assert.equal(post.status, 405);
    assert.equal(post.headers.get('allow'), 'GET, HEAD');
  });
});

test('a port in use is one sentence with the flag that chooses another', async () => {
  const taken = await takenPort();
  await assert.rejects(
    StatusServer.open({ metrics: new Metrics() }, { ...options, port: taken.port }),
    (error: Error) =>
      error.message ===
      `Port ${taken.port} on 127.0.0.1 is in use, so the edge's status server cannot listen there. Stop the other program or choose another port with --edge-http-port.`,
  );
  await taken.release();
});

test('close ends open connections and can be called twice', async () => {
  const server = await StatusServer.open({ metrics: new Metrics() }, options);
  await fetch(`http://127.0.0.1:${server.port}/healthz`);
  await Promise.all([server.close(), server.close()]);
  await server.close();
});

test('process metrics tell memory, CPU, start and build', async () => {
  const metrics = new Metrics();
  const process = openProcessMetrics(metrics, { tier: 'edge', version: '1.2.3' });
  const text = metrics.text();
  process.close();
  assert.match(text, /trunkline_build_info\{tier="edge",version="1\.2\.3",node="[\d.]+"\} 1/);
  assert.match(text, /^trunkline_process_resident_bytes \d{7,}$/m);
  assert.match(text, /^trunkline_process_start_time_seconds 1\d{9}/m);
  assert.match(text, /^trunkline_event_loop_delay_p99_seconds [\d.e-]+$/m);
});
