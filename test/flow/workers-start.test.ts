/** Edges with workers that cannot start, at first or again. */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { takenPort } from '../support/ports.ts';
import { type RunningProcess, startProcess } from '../support/processes.ts';
import { isAlive, pidOf } from '../support/workers.ts';

function startTwo(...flags: string[]): Promise<RunningProcess> {
  return startProcess('edge', { flags: ['--workers', '2', ...flags] });
}

test('what a worker, or a port, has against the start is one sentence, and nothing stays', async () => {
  const taken = await takenPort();
  const port = String(taken.port);
  await assert.rejects(startTwo('--ws-port', port), /Port \d+ on 127\.0\.0\.1 is in use/);
  await taken.release();
  const long = ['--edge-id', 'x'.repeat(63)];
  await assert.rejects(startTwo(...long), /edge\.id = "x+" is too long/);
});

test('a worker that cannot be started again ends the edge with the reason', async () => {
  const edge = await startTwo();
  const spool = join(edge.data, 'worker-2', 'edge', 'spool');
  renameSync(spool, `${spool}.away`);
  writeFileSync(spool, 'not a folder');
  process.kill(pidOf(edge, 2), 'SIGKILL');
  const exit = await edge.exited;
  assert.deepEqual(exit, { code: 1, signal: null });
  assert.match(edge.stderr, /The spool cannot be opened.*"msg":"worker cannot be started again"/);
  assert.equal(isAlive(pidOf(edge, 1)), false);
});
