/** `trunkline pub` and `trunkline sub` with a broker that is not ours. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { pubCommand } from '../../cli/pub.ts';
import { subCommand } from '../../cli/sub.ts';
import { TestClient } from '../support/clients.ts';
import { type TestIo, testIo } from '../support/command-io.ts';
import { openPlainBroker, type PlainBroker } from '../support/plain-broker.ts';
import { freePort } from '../support/ports.ts';

let broker: PlainBroker;

before(async () => {
  broker = await openPlainBroker();
});
after(() => broker.close());

const at = () => ['--port', String(broker.port)];

function pub(...args: string[]): Promise<number> {
  return pubCommand([...args, ...at()], testIo());
}

/** A subscription that stands: it has received a first message of its own topic. */
async function openSub(...args: string[]): Promise<{ io: TestIo; code: Promise<number> }> {
  const io = testIo();
  const ready = `ready/${Math.random()}`;
  const code = subCommand([...args, ready, ...at()], io);
  // A retained message comes with the subscription, whichever of the two is first.
  await pub(ready, 'yes', '--retain');
  await io.stdout.expect(/ready/);
  return { io, code };
}

test('messages are printed one a line, and the count ends the command', async () => {
  const { io, code } = await openSub('room/+/temperature', '-c', '3');
  assert.equal(await pub('room/1/temperature', '21.5'), 0);
  assert.equal(await pub('room/2/temperature', 'zwanzig Grad, äöü', '-q', '2'), 0);
  assert.equal(await code, 0);
  assert.deepEqual(io.stdout.lines.slice(1), [
    'room/1/temperature 21.5',
    'room/2/temperature zwanzig Grad, äöü',
  ]);
});

test('bytes that are no text are printed in hexadecimal, and control characters are shown', async () => {
  const { io, code } = await openSub('raw/#', '-c', '3');
  const device = await TestClient.connect(`mqtt://127.0.0.1:${broker.port}`);
  await device.mqtt.publishAsync('raw/1', Buffer.from([0xff, 0x00, 0x41]), { qos: 1 });
  await device.publish('raw/2', 'two\nlines \u001b[2J', { qos: 1 });
  await device.end();
  assert.equal(await code, 0);
  assert.deepEqual(io.stdout.lines.slice(1), ['raw/1 hex:ff0041', 'raw/2 two\\x0alines \\x1b[2J']);
});

test('JSON lines are exact and say QoS and retain', async () => {
  await pub('kept/1', 'two\nlines', '--retain');
  const { io, code } = await openSub('kept/#', '--json', '-c', '2');
  assert.equal(await code, 0);
  const lines = io.stdout.lines.map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.find(({ topic }) => topic === 'kept/1'),
    { topic: 'kept/1', payload: 'two\nlines', qos: 1, retain: true },
  );
});

test('Ctrl-C ends a subscription in order', async () => {
  const { code } = await openSub('any/#');
  process.emit('SIGINT');
  assert.equal(await code, 0);
  assert.equal(process.listenerCount('SIGINT'), 0);
});

test('each line of standard input becomes a message, in order', async () => {
  const reader = await TestClient.connect(`mqtt://127.0.0.1:${broker.port}`);
  await reader.subscribe('lines/1', 1);
  const program = [
    `import { pubCommand } from ${JSON.stringify(import.meta.resolve('../../cli/pub.js'))};`,
    'const { stdout, stderr, env } = process;',
    `const args = ['lines/1', '--stdin-lines', '--port', '${broker.port}'];`,
    'process.exitCode = await pubCommand(args, { stdout, stderr, env });',
  ];
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program.join('\n')], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  const lines = Array.from({ length: 300 }, (_, index) => `line ${index}`);
  child.stdin.end(`${lines.join('\n')}\n`);
  const code = await new Promise((resolve) => child.once('exit', resolve));
  assert.equal(code, 0);
  await reader.expect(300);
  assert.deepEqual(reader.texts, lines);
  await reader.end();
});

test('a wrong topic, filter or command line is refused before anything is connected', async () => {
  const nowhere = ['--port', '1'];
  const io = testIo();
  await assert.rejects(pubCommand(['a/+', 'x', ...nowhere], io), { code: 'topic-invalid' });
  await assert.rejects(pubCommand(['a', ...nowhere], io), { message: /^Give a <message>/ });
  await assert.rejects(pubCommand(['a', 'x', '--stdin-lines', ...nowhere], io), {
    message: /^Give either/,
  });
  await assert.rejects(subCommand(['a/#/b', ...nowhere], io), { code: 'filter-invalid' });
  await assert.rejects(subCommand(nowhere, io), { message: /^<filter> is missing/ });
  await assert.rejects(subCommand(['a', '--colour', ...nowhere], io), {
    message: /^--colour is not an option/,
  });
});

test('a broker that is not there is said in one sentence', async () => {
  const nowhere = ['--port', String(await freePort())];
  await assert.rejects(pubCommand(['a', 'x', ...nowhere], testIo()), { code: 'unreachable' });
  await assert.rejects(subCommand(['a', ...nowhere], testIo()), { code: 'unreachable' });
});
