/** The demo on what it really starts: `trunkline up`, a second edge, devices and gateways on both. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { takenPort } from '../support/ports.ts';
import { runCommand, temporaryFolder } from '../support/processes.ts';

const doors = ['mqtt', 'ws', 'mqtts', 'wss', 'edge-http', 'trunk', 'gateway', 'http'];
const freePorts = doors.flatMap((door) => [`--${door}-port`, '0']);
const small = ['--devices', '9', '--rate', '90', '--gateways', '1', '--gateway-devices', '3'];

test('the demo plays on two edges, ends by itself and leaves nothing behind', async () => {
  const folder = temporaryFolder();
  const args = ['demo', ...small, '--seconds', '1', '--', ...freePorts];
  const { code, stdout, stderr } = await runCommand(args, { env: { TMPDIR: folder } });
  assert.equal(code, 0, stderr);
  assert.match(stdout, /MQTT \d+ \(north\), \d+ \(south\); gRPC \d+/);
  assert.doesNotMatch(stderr, /"level":[456]0/);
  assert.deepEqual(readdirSync(folder), []);
});

test('a demo that cannot start says why and leaves nothing behind', async () => {
  const folder = temporaryFolder();
  const taken = await takenPort();
  const args = ['demo', ...small, '--', ...freePorts, '--http-port', String(taken.port)];
  const { code, stderr } = await runCommand(args, { env: { TMPDIR: folder } });
  await taken.release();
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(`trunkline: Port ${taken.port} on 127\\.0\\.0\\.1 is in use`));
  assert.deepEqual(readdirSync(folder), []);
});
