/** `trunkline devices simulate` when something goes wrong on the way. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { devicesCommand } from '../../cli/devices.ts';
import { testIo } from '../support/command-io.ts';
import { openPlainBroker, type PlainBroker } from '../support/plain-broker.ts';

let broker: PlainBroker;

before(async () => {
  broker = await openPlainBroker();
});
after(() => broker.close());
beforeEach(() => {
  broker.holdBack = () => false;
});

function simulate(...args: string[]) {
  const io = testIo();
  const port = String(broker.port);
  return { io, code: devicesCommand(['simulate', '--port', port, ...args], io) };
}

const small = ['--count', '20', '--rate', '200', '--seconds', '1'];

test('a broker that acknowledges a message and does not deliver it is found out', async () => {
  let held = 0;
  broker.holdBack = ({ topic, payload }) =>
    topic.startsWith('fleet/meter/') && JSON.parse(payload.toString()).n === 2 && held++ === 0;
  const { io, code } = simulate(...small, '--profile', 'meter', '--drain-seconds', '1');
  assert.equal(await code, 1);
  assert.equal(held > 0, true);
  assert.match(io.stdout.text, /^sent {8}200 in /m);
  assert.match(io.stdout.text, /^lost {8}1$/m);
  assert.match(io.stdout.text, /FAILED: 1 acknowledged message did not come back/);
});

test('Ctrl-C ends the run early and the summary is printed all the same', async () => {
  const { io, code } = simulate('--count', '5', '--rate', '100', '--seconds', '3600');
  await io.stderr.expect(/sent [1-9]/);
  process.emit('SIGINT');
  assert.equal(await code, 0);
  assert.match(io.stdout.text, /every acknowledged message came back/);
  assert.equal(process.listenerCount('SIGINT'), 0);
});

test('a verifier whose connection breaks loses nothing above QoS 0', async () => {
  const { io, code } = simulate('--count', '5', '--rate', '50', '--seconds', '3', '--json');
  await io.stderr.expect(/sent [1-9]/);
  broker.cutAll();
  assert.equal(await code, 0);
  const { lost, acked } = JSON.parse(io.stdout.text);
  assert.equal(lost, 0);
  assert.ok(acked > 50);
});
