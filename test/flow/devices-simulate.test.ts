/**
 * `trunkline devices simulate` when all is well, and when it cannot begin. The honest broker is our
 * own: a plain Aedes does not do for QoS 2, of two PUBRECs that come together it answers only one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TrunklineError } from '../../base/errors.ts';
import { devicesCommand } from '../../cli/devices.ts';
import { testIo } from '../support/command-io.ts';
import { openLocalBroker } from '../support/local-broker.ts';
import { openPlainBroker } from '../support/plain-broker.ts';
import { freePort } from '../support/ports.ts';

const small = ['--count', '20', '--rate', '200', '--seconds', '1'];

for (const qos of ['0', '1', '2']) {
  test(`a fleet at QoS ${qos} gets everything back from an honest broker`, async (t) => {
    const honest = await openLocalBroker();
    t.after(() => honest.discard());
    const io = testIo();
    const port = String(honest.port);
    const args = ['simulate', '--port', port, ...small, '--qos', qos, '--json'];
    assert.equal(await devicesCommand(args, io), 0);
    const report = JSON.parse(io.stdout.text);
    const { devices, sent, acked, received, lost, missing, duplicates, reordered, ok } = report;
    assert.deepEqual(
      { devices, sent, received, lost, missing, duplicates, reordered, ok },
      {
        devices: 20,
        sent: 200,
        received: 200,
        lost: 0,
        missing: 0,
        duplicates: 0,
        reordered: 0,
        ok: true,
      },
    );
    assert.equal(acked, qos === '0' ? 0 : 200);
    assert.ok(report.latency_ms.p50 > 0 && report.latency_ms.max >= report.latency_ms.p99);
  });
}

test('a broker that is not there is said in one sentence', async () => {
  const port = await freePort();
  await assert.rejects(devicesCommand(['simulate', '--port', String(port)], testIo()), (error) => {
    assert.ok(error instanceof TrunklineError);
    assert.equal(error.code, 'unreachable');
    const text = new RegExp(`^No MQTT broker takes connections at 127.0.0.1:${port} \\(ECONN`);
    assert.match(error.message, text);
    return true;
  });
});

test('a broker that asks for a password gets it, and a wrong one is explained', async () => {
  const guarded = await openPlainBroker({ user: { name: 'fleet', password: 'secret' } });
  try {
    const run = (...args: string[]) =>
      devicesCommand(['simulate', '--port', String(guarded.port), ...small, ...args], testIo());
    assert.equal(await run('--username', 'fleet', '--password', 'secret'), 0);
    await assert.rejects(run('--username', 'fleet', '--password', 'no'), {
      code: 'not-authorized',
      message: /does not let "fleet" in/,
    });
  } finally {
    await guarded.close();
  }
});

test('an unknown subcommand or option is refused with a pointer to the help', async () => {
  await assert.rejects(devicesCommand(['list'], testIo()), { message: /`trunkline devices list`/ });
  await assert.rejects(devicesCommand(['simulate', '--cuont', '3'], testIo()), {
    message: /did you mean --count\? See `trunkline devices simulate --help`\./,
  });
  const io = testIo();
  assert.equal(await devicesCommand(['--help'], io), 0);
  assert.match(io.stdout.text, /^Usage: trunkline devices simulate/);
});
