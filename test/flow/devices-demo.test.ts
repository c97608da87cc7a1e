/** The demo on a system that the test brings up in place of `trunkline up`. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { TrunklineError } from '../../base/errors.ts';
import { demoCommand } from '../../cli/demo.ts';
import type { DemoSystem } from '../../cli/demo-system.ts';
import { testIo } from '../support/command-io.ts';
import { openTestFront, type TestFront } from '../support/front.ts';
import { openPlainBroker, type PlainBroker } from '../support/plain-broker.ts';
import { until } from '../support/until.ts';

let broker: PlainBroker;
let front: TestFront;

beforeEach(async () => {
  broker = await openPlainBroker();
  front = await openTestFront();
});
afterEach(async () => {
  await broker.close();
  await front.close();
});

function stage(failed: Promise<never> = new Promise(() => {})) {
  const state = { closed: 0, flags: [] as readonly string[] };
  const start = async (flags: readonly string[]): Promise<DemoSystem> => {
    state.flags = flags;
    return {
      edges: [
        { id: 'north', mqtt: { host: '127.0.0.1', port: broker.port } },
        { id: 'south', mqtt: { host: '127.0.0.1', port: broker.port } },
      ],
      httpUrl: 'http://127.0.0.1:8080',
      gateway: { address: front.address, token: '' },
      failed,
      close: async () => {
        state.closed++;
      },
    };
  };
  return { state, start };
}

const small = ['--devices', '6', '--rate', '60', '--gateways', '2', '--gateway-devices', '3'];

test('it plays until Ctrl-C, tells where to look, and stops everything', async () => {
  const { state, start } = stage();
  const io = testIo();
  const code = demoCommand([...small, '--', '--http-port', '8090'], io, start);
  await until(() => front.fanout.published.length >= 5, 'gateways publish');
  assert.equal(front.sessions.size, 6);
  assert.match(io.stdout.text, /Look at the fleet +http:\/\/127\.0\.0\.1:8080\//);
  assert.match(io.stdout.text, new RegExp(`node .+ sub --port ${broker.port} 'fleet/#'`));
  assert.deepEqual(state.flags, ['--http-port', '8090']);
  process.emit('SIGINT');
  assert.equal(await code, 0);
  assert.equal(state.closed, 1);
  await until(() => front.sessions.size === 0, 'the gateways said goodbye');
});

test('it ends by itself after the time that was asked for', async () => {
  const { state, start } = stage();
  assert.equal(await demoCommand([...small, '--seconds', '1'], testIo(), start), 0);
  assert.equal(state.closed, 1);
});

test('a system that ends by itself ends the demo with its sentence', async () => {
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  const { state, start } = stage(failed);
  const io = testIo();
  const code = demoCommand(small, io, start);
  await until(() => io.stdout.text.includes('Ctrl-C ends it.'), 'the demo plays');
  fail(new TrunklineError('unreachable', 'It ended.'));
  await assert.rejects(code, { message: 'It ended.' });
  assert.equal(state.closed, 1);
  assert.equal(process.listenerCount('SIGINT'), 0);
});
