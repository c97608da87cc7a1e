/** `trunkline up` as a user meets it: it starts, says where to connect, and leaves nothing behind. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { takenPort } from '../support/ports.ts';
import { type RunningProcess, startProcess, temporaryFolder } from '../support/processes.ts';

/** Process identifiers of the tiers that run on a data folder, `up` itself left out. */
function tiersOn(data: string): { pid: number; tier: string }[] {
  const lines = execFileSync('ps', ['-eo', 'pid=,args='], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => {
    const [, pid, tier] = /^\s*(\d+) .*trunkline\.js (edge|core) /.exec(line) ?? [];
    return tier !== undefined && line.includes(` ${data} `) ? [{ pid: Number(pid), tier }] : [];
  });
}

async function readyStatus(up: RunningProcess): Promise<number> {
  return (await fetch(`http://127.0.0.1:${up.port('http')}/readyz`)).status;
}

test('up prints where to connect once it is ready, and stops in order within five seconds', async () => {
  const up = await startProcess('up');
  assert.equal(await readyStatus(up), 200);
  const status = await fetch(`http://127.0.0.1:${up.port('edge_http')}/readyz`);
  assert.deepEqual(await status.json(), { ready: true, reasons: [] });

  assert.match(up.stdout, new RegExp(`mqtt://127\\.0\\.0\\.1:${up.port('mqtt')}\\b`));
  assert.match(up.stdout, new RegExp(`ws://127\\.0\\.0\\.1:${up.port('ws')}/mqtt\\b`));
  assert.match(up.stdout, new RegExp(`gRPC +127\\.0\\.0\\.1:${up.port('gateway')}\\b`));
  assert.match(up.stdout, new RegExp(`http://127\\.0\\.0\\.1:${up.port('http')}/`));
  assert.match(up.stdout, /trunkline\.js sub --port \d+ 'fleet\/#'/);
  assert.equal(tiersOn(up.data).length, 2);

  const startedAt = performance.now();
  assert.deepEqual(await up.stop(), { code: 0, signal: null });
  assert.ok(performance.now() - startedAt < 5_000);
  assert.deepEqual(tiersOn(up.data), []);
  const order = up.stderr.match(/(edge|core) stopped/g);
  assert.deepEqual(order, ['edge stopped', 'core stopped']);
});

test('Ctrl-C that arrives twice at once is one request to stop', async () => {
  const up = await startProcess('up');
  process.kill(up.pid, 'SIGINT');
  assert.deepEqual(await up.kill('SIGINT'), { code: 0, signal: null });
  assert.deepEqual(tiersOn(up.data), []);
});

test('a second start on the same data goes on where the first one stopped', async () => {
  const data = temporaryFolder();
  const first = await startProcess('up', { data });
  await first.stop();
  const second = await startProcess('up', { data });
  assert.equal(await readyStatus(second), 200);
  assert.match(second.stderr, /spool recovered/);
  assert.deepEqual(await second.stop(), { code: 0, signal: null });
});

test('a supervisor that is killed leaves no process, and its data can be used again', async () => {
  const data = temporaryFolder();
  const up = await startProcess('up', { data });
  const exit = await up.kill('SIGKILL'); // Ends when the last holder of its output has ended, too.
  assert.equal(exit.signal, 'SIGKILL');
  assert.deepEqual(tiersOn(data), []);
  assert.match(up.stderr, /"reason":"supervisor-gone"/);
  const again = await startProcess('up', { data });
  await again.stop();
});

test('a tier that dies is started again on the same ports', async () => {
  const up = await startProcess('up');
  for (const tier of ['edge', 'core']) {
    const victim = tiersOn(up.data).find((one) => one.tier === tier);
    process.kill(victim?.pid as number, 'SIGKILL');
    await untilTrue(() =>
      tiersOn(up.data).some(
        (one) => one.tier === tier && one !== victim && one.pid !== victim?.pid,
      ),
    );
    await untilTrue(async () => (await readyStatus(up).catch(() => 0)) === 200);
    await untilTrue(async () => {
      const url = `http://127.0.0.1:${up.port('edge_http')}/readyz`;
      const answer = await fetch(url).then(
        (response) => response.json(),
        () => null,
      );
      return answer !== null && (answer as { reasons: string[] }).reasons.length === 0;
    });
  }
  assert.equal(up.stderr.match(/child ended, restarting/g)?.length, 2);
  assert.deepEqual(await up.stop(), { code: 0, signal: null });
});

test('a tier that cannot start is its one sentence, and the other is stopped', async () => {
  const taken = await takenPort();
  const data = temporaryFolder();
  const flags = ['--edge-http-port', String(taken.port)];
  await assert.rejects(startProcess('up', { data, flags }), {
    message: `Port ${taken.port} on 127.0.0.1 is in use, so the edge's status server cannot listen there. Stop the other program or choose another port with --edge-http-port.`,
  });
  await untilTrue(() => tiersOn(data).length === 0);
  await taken.release();
});

/** For states of other processes, which nothing announces here; the runner's timeout is the guard. */
async function untilTrue(check: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await check())) await new Promise((resolve) => setTimeout(resolve, 50));
}
