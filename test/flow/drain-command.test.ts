/** An operator drains a core: by command, over gRPC, and what others see of it. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { systemClock } from '../../base/clock.ts';
import { CoreProbe, type ProbeResult } from '../../bridge/placement/core-probe.ts';
import {
  type DrainCoreRequest,
  type DrainCoreResponse,
  FleetServiceClient,
} from '../../proto/gen/trunkline/v1/fleet.ts';
import { attached } from '../support/fleet.ts';
import { known } from '../support/known.ts';
import { type RunningProcess, runCommand, startProcess } from '../support/processes.ts';
import { until } from '../support/until.ts';

let first: RunningProcess;
let second: RunningProcess;
let edge: RunningProcess;

before(async () => {
  const token = ['--trunk-token', 'secret'];
  const startCore = (id: string, region: string) =>
    startProcess('core', { flags: ['--core-id', id, '--core-region', region, ...token] });
  [first, second] = await Promise.all([startCore('one', 'eu'), startCore('two', 'us')]);
  const cores = [first, second].map((core) => `127.0.0.1:${core.port('trunk')}`).join(',');
  const flags = ['--edge-cores', cores, '--edge-region', 'eu', '--edge-probe-seconds', '1'];
  edge = await startProcess('edge', { flags: [...flags, ...token] });
  await attached(first, 1);
});

after(async () => {
  await edge.stop();
  await Promise.all([first.stop(), second.stop()]);
});

function drain(core: RunningProcess, ...flags: string[]) {
  const http = `http://127.0.0.1:${core.port('http')}`;
  return runCommand(['drain', 'core', '--http', http, ...flags]);
}

async function probed(core: RunningProcess, token: string): Promise<ProbeResult> {
  const address = `127.0.0.1:${core.port('trunk')}`;
  const probe = new CoreProbe(systemClock, { address, token });
  const result = await probe.look();
  probe.close();
  return result;
}

const readiness = async (core: RunningProcess) => {
  const response = await fetch(`http://127.0.0.1:${core.port('http')}/readyz`);
  return [response.status, await response.json()];
};

test('the health check tells who the core is to those who know the token, and how it is to all', async () => {
  const trusted = await probed(first, 'secret');
  assert.equal(trusted.state, 'serving');
  assert.match(trusted.facts?.log ?? '', /./);
  assert.deepEqual(
    { ...trusted.facts, log: '' },
    { coreId: 'one', region: 'eu', log: '', edges: 1 },
  );
  const stranger = await probed(first, 'guessed');
  assert.deepEqual([stranger.state, stranger.facts], ['serving', null]);
});

test('operators see which cores an edge knows, and how it finds them', async () => {
  const http = `http://127.0.0.1:${first.port('http')}`;
  const details = async () =>
    (await runCommand(['trunk', 'status', 'edge-1', '--http', http])).stdout;
  const [here, there] = [first, second].map((core) => `127.0.0.1:${core.port('trunk')}`);
  const row = (address: string | undefined, rest: string) =>
    new RegExp(`^${address} +${rest}`, 'm');
  // The first probe of a core may have been before the edge attached to it, so its count follows.
  const probed = (text: string) =>
    row(here, 'one +eu +serving +[\\d.]+ms +1$').test(text) &&
    row(there, 'two +us +serving +[\\d.]+ms +0$').test(text);
  await until(async () => probed(await details()), 'both cores probed');
  const text = await details();
  assert.ok(text.indexOf(`${here} `) < text.indexOf(`${there} `), 'the one in use comes first');
});

test('a core that is drained sends its edges away and says so, until it is undone', async () => {
  const drained = await drain(first, '--within', '100ms');
  assert.deepEqual(
    [drained.code, drained.stdout, drained.stderr],
    [0, 'The core drains: 1 of 1 edges go.\n', ''],
  );
  await attached(second, 1);
  assert.equal((await probed(first, 'secret')).state, 'draining');
  assert.deepEqual(await readiness(first), [503, { ready: false, reasons: ['the core drains'] }]);
  const undone = await drain(first, '--undo');
  assert.deepEqual([undone.code, undone.stdout], [0, 'The core lets edges in again.\n']);
  assert.equal((await probed(first, 'secret')).state, 'serving');
  // It is of the edge's own region.
  await attached(first, 1);
});

test('the same over gRPC: an edge that is sent to a named core goes there', async () => {
  const address = `127.0.0.1:${first.port('gateway')}`;
  const client = new FleetServiceClient(address, credentials.createInsecure());
  const ask = (request: Partial<DrainCoreRequest>) =>
    new Promise<DrainCoreResponse>((resolve, reject) => {
      client.drainCore({ withinMs: 1, address: '', undo: false, ...request }, (error, answer) => {
        if (error === null) resolve(answer);
        else reject(error);
      });
    });
  try {
    const to = `127.0.0.1:${second.port('trunk')}`;
    const answer = await ask({ address: to });
    assert.deepEqual(known(answer), { draining: true, edges: [{ edgeId: 'edge-1', error: '' }] });
    await attached(second, 1);
    await assert.rejects(ask({ address: 'nowhere' }), /INVALID_ARGUMENT: address is "nowhere"/);
    await assert.rejects(ask({ undo: true }), /INVALID_ARGUMENT: undo is given/);
    assert.equal((await ask({ withinMs: 0, undo: true })).draining, false);
  } finally {
    client.close();
  }
});

test('a drain that is undone in time keeps the edges that have not gone', async () => {
  await attached(first, 1);
  const drained = await drain(first, '--within', '24h');
  assert.equal(drained.stdout, 'The core drains: 1 of 1 edges go.\n');
  const undone = await drain(first, '--undo');
  assert.deepEqual([undone.code, undone.stdout], [0, 'The core lets edges in again.\n']);
  assert.match(edge.stderr + edge.stdout, /core takes its redirect back/);
  await attached(first, 1);
});

test('an address that cannot be, or is that of the core itself, sends no edge away', async () => {
  const wrong = await drain(first, '--to', 'elsewhere:99999');
  assert.match(wrong.stderr, /address is "elsewhere:99999"; give host:port/);
  const same = await drain(first, '--to', `127.0.0.1:${first.port('trunk')}`);
  assert.match(same.stdout, /0 of 1 edges go\.\n {2}edge-1 stays: .* is at .* already/);
  await drain(first, '--undo');
});

test('a wrong command line is one sentence', async () => {
  const wrong = await drain(first, '--within', 'soon');
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /^trunkline: --within is "soon"; give a number with a unit/);
  const what = await runCommand(['drain', 'edge']);
  assert.match(what.stderr, /What drains is "core", not "edge"/);
});
