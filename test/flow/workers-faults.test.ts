/** Workers and supervisors that are killed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestClient } from '../support/clients.ts';
import { metric } from '../support/fleet.ts';
import { type RunningProcess, startProcess, temporaryFolder } from '../support/processes.ts';
import { connectPacket, RawClient } from '../support/raw-client.ts';
import { until } from '../support/until.ts';
import { idOf, isAlive, pidOf } from '../support/workers.ts';

function startTwo(data = temporaryFolder(), flags: string[] = []): Promise<RunningProcess> {
  return startProcess('edge', { data, flags: ['--workers', '2', ...flags] });
}

function connect(edge: RunningProcess, clientId: string, clean = true): Promise<TestClient> {
  return TestClient.connect(`mqtt://127.0.0.1:${edge.port('mqtt')}`, { clientId, clean });
}

/** On a busy machine a start may take longer than a connection may wait. */
async function untilConnected(edge: RunningProcess, clientId: string): Promise<TestClient> {
  for (;;) {
    const client = await connect(edge, clientId, false).catch(() => null);
    if (client !== null) return client;
  }
}

test('a worker that is killed comes back with its sessions, while the other goes on', async () => {
  const edge = await startTwo();
  const [kept, other] = [idOf(1, 'kept'), idOf(2, 'other')];
  const device = await connect(edge, kept, false);
  await device.subscribe('a/#', 1);
  await device.end();
  const sender = await connect(edge, idOf(1, 'sender'));
  for (let i = 0; i < 50; i++) await sender.publish('a/b', `${i}`, { qos: 1 });
  const bystander = await connect(edge, other);

  const before = pidOf(edge, 1);
  const cut = new Promise((resolve) => sender.mqtt.once('close', () => resolve(null)));
  process.kill(before, 'SIGKILL');
  await cut;
  await bystander.roundTrip();
  const url = `http://127.0.0.1:${edge.port('http')}/readyz`;
  const answer = await fetch(url);
  assert.equal(answer.status, 200);
  assert.match(await answer.text(), /worker 1: it is away/);

  // It waits at the door until the worker is back, or comes again.
  const back = await untilConnected(edge, kept);
  assert.equal(back.sessionPresent, true);
  await back.expect(50);
  assert.deepEqual(
    back.texts,
    Array.from({ length: 50 }, (_, i) => `${i}`),
  );
  assert.notEqual(pidOf(edge, 1), before);
  await bystander.roundTrip();
  assert.equal(await metric(edge, 'trunkline_worker_restarts_total{worker="supervisor"}'), 1);
  assert.match(edge.stderr, /"signal":"SIGKILL","wait_ms":\d+,"msg":"worker ended, restarting"/);
  await Promise.all([back.end(), bystander.end()]);

  // Those that it had not taken are closed, those that still wait get the next one.
  process.kill(pidOf(edge, 2), 'SIGSTOP');
  const answers = Array.from({ length: 12 }, async () => {
    const raw = await RawClient.open(edge.port('mqtt'));
    raw.send(connectPacket(other));
    await Promise.race([raw.closed, raw.next().catch(() => {})]);
  });
  await until(
    async () => (await metric(edge, 'trunkline_door_waiting{worker="supervisor"}')) >= 12,
    'they wait',
  );
  process.kill(pidOf(edge, 2), 'SIGKILL');
  await Promise.all(answers);
  assert.deepEqual(await edge.stop(), { code: 0, signal: null });
});

test('a supervisor that is killed leaves no worker, and its data can be used again', async () => {
  const edge = await startTwo();
  const pids = [pidOf(edge, 1), pidOf(edge, 2)];
  await edge.kill('SIGKILL'); // Ends when the last holder of its output has ended, too.
  await until(() => !pids.some(isAlive), 'the workers are gone');
  assert.match(edge.stderr, /"reason":"supervisor-gone"/);
  await assert.rejects(startProcess('edge', { data: edge.data }), {
    message: `Data folder ${edge.data} was made with edge.workers = 2, not 1: kept sessions would be with workers that their devices no longer meet. Start with --edge-workers 2, or choose another folder with --data.`,
  });
  const again = await startTwo(edge.data);
  assert.deepEqual(await again.kill('SIGINT'), { code: 0, signal: null });
});
