/** `trunkline sessions` against a core's HTTP: tables, JSON, watches and their end. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { sessionsCommand } from '../../cli/sessions.ts';
import { type HttpDoor, openHttp } from '../../core/http/http-server.ts';
import { SessionState } from '../../proto/gen/trunkline/v1/session.ts';
import { fleetParts, session } from '../support/front.ts';
import { freePort } from '../support/ports.ts';

const parts = fleetParts();
let door: HttpDoor;
let http: string;

before(async () => {
  parts.sessions.edgeAttached({ edgeId: 'edge-1', region: '', softwareVersion: '1' });
  parts.sessions.upsert('edge-1', [
    session('meter-1', {
      subscriptionCount: 1,
      receivedMessages: 12_345,
      subscriptions: [{ filter: 'cmd/#', qos: 1 }],
    }),
    session('meter-2', { state: SessionState.KEPT, disconnectReason: 'keep-alive' }),
    session('evil\u001b[2J'),
  ]);
  parts.sessions.upsert('core:core-1', [
    session('tag-7', { edgeId: 'core-1', gatewayId: 'gw-1', protocol: 'grpc' }),
  ]);
  door = await openHttp(
    { ...parts, clock: systemClock, readiness: () => ({ ready: true, reasons: [] }) },
    { host: '127.0.0.1', port: 0, token: 'secret', consoleDirectory: 'absent' },
  );
  http = `http://127.0.0.1:${door.port}`;
});
after(() => door.close());

async function run(...args: string[]) {
  const texts = { stdout: '', stderr: '' };
  const sink = (name: 'stdout' | 'stderr') =>
    new PassThrough().setEncoding('utf8').on('data', (text: string) => {
      texts[name] += text;
    });
  const io = { stdout: sink('stdout'), stderr: sink('stderr'), env: {} };
  const code = await sessionsCommand(args, io);
  await new Promise((resolve) => setImmediate(resolve));
  return { code, ...texts };
}

const there = () => ['--http', http, '--token', 'secret'];

test('the list is an aligned table, without colours where there is no terminal', async () => {
  const { code, stdout, stderr } = await run('list', ...there());
  assert.equal(code, 0);
  assert.equal(stderr, '');
  assert.deepEqual(stdout.split('\n'), [
    'CLIENT ID      STATE      EDGE         PROTOCOL  ADDRESS         SUBS  QUEUE     IN  OUT',
    'evil\\u001b[2J  connected  edge-1       3.1.1     127.0.0.1:5000     0      0      0    0',
    'meter-1        connected  edge-1       3.1.1     127.0.0.1:5000     1      0  12345    0',
    'meter-2        kept       edge-1       3.1.1     127.0.0.1:5000     0      0      0    0',
    'tag-7          connected  core-1/gw-1  grpc      127.0.0.1:5000     0      0      0    0',
    '',
  ]);
});

test('a limit is kept to, and what is not shown is said on standard error', async () => {
  const { stdout, stderr } = await run('list', '--limit', '2', ...there());
  assert.equal(stdout.trimEnd().split('\n').length, 3);
  assert.match(stderr, /2 of 4 sessions shown; --limit N shows more/);
});

test('more sessions than a page holds are listed by following pages', async () => {
  const many = Array.from({ length: 1_500 }, (_, index) => session(`bulk-${index}`));
  parts.sessions.upsert('edge-1', many);
  const filter = 'client_id = bulk-*';
  const { stdout } = await run('list', '--json', '-n', '5000', '-f', filter, ...there());
  parts.sessions.remove(
    'edge-1',
    many.map(({ clientId }) => clientId),
  );
  const ids = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line).client_id);
  assert.equal(new Set(ids).size, 1_500);
});

test('a silent edge is named on standard error', async () => {
  parts.sessions.edgeDetached('edge-1');
  const { stderr } = await run('list', ...there());
  parts.sessions.edgeAttached({ edgeId: 'edge-1', region: '', softwareVersion: '1' });
  assert.match(stderr, /Not reporting now, shown as last heard: edge-1/);
});

test('one session is shown line by line, or as JSON', async () => {
  const { code, stdout } = await run('get', 'meter-1', ...there());
  assert.equal(code, 0);
  assert.match(stdout, /^client_id +meter-1$/m);
  assert.match(stdout, /^connected_at_ms +1970-01-01T00:00:01\.000Z$/m);
  assert.match(stdout, /^subscription +cmd\/# \(QoS 1\)$/m);
  const json = await run('get', 'tag-7', '--json', ...there());
  assert.equal(JSON.parse(json.stdout).gateway_id, 'gw-1');
});

test('what goes wrong is one sentence with the remedy', async () => {
  const free = `http://127.0.0.1:${await freePort()}`;
  for (const [args, code, message] of [
    [['get', 'nobody', ...there()], 'not-found', /no session with client_id "nobody"/],
    [['list', '--http', http], 'not-authorized', /wants a token.*--token/],
    [
      ['list', '--filter', 'x = 1', ...there()],
      'query-invalid',
      /unknown field 'x' at character 1/,
    ],
    [['list', '--http', free], 'unreachable', /\(ECONNREFUSED\).*`trunkline up`.*--http URL/],
    [['watch', '--http', free], 'unreachable', /ECONNREFUSED/],
    [['list', '--http', 'nonsense'], 'config-invalid', /--http must be an address such as/],
    [['list', '--limit', 'x'], 'config-invalid', /--limit must be a whole number/],
    [['lst'], 'config-invalid', /has no "lst". Did you mean list\?/],
  ] as const) {
    await assert.rejects(run(...args), { code, message });
  }
});

test('help is there for the command and each of its actions', async () => {
  const all = await run('--help');
  assert.equal(all.code, 0);
  assert.match(all.stdout, /sessions list \[options\][\s\S]*sessions get[\s\S]*sessions watch/);
  assert.match((await run('list', '--help')).stdout, /state = connected AND client_id = meter-\*/);
  const none = await run();
  assert.deepEqual([none.code, none.stdout], [1, '']);
});

/** The command as a process of its own, so that it can be interrupted. */
function watchProcess(...args: string[]) {
  return following('watch', ...args);
}

function following(...args: string[]) {
  const script = `
    const { sessionsCommand } = await import(process.argv[1]);
    process.exitCode = await sessionsCommand(process.argv.slice(2), process).catch((error) => {
      process.stderr.write(error.message);
      return 1;
    });`;
  const module = new URL('../../cli/sessions.js', import.meta.url).href;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, module, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  const shows = async (pattern: RegExp) => {
    while (!pattern.test(output.stdout)) await once(child.stdout, 'data');
  };
  return { child, output, shows, exit: once(child, 'close') };
}

test('a watch prints a line per event until it is interrupted, and that is no error', async () => {
  const { child, output, shows, exit } = watchProcess('-f', 'client_id = meter-*', ...there());
  await shows(/-- 2 sessions; changes follow --\n/);
  assert.match(output.stdout, /^snapshot {2}meter-1 {2}connected {2}edge-1 {2}3\.1\.1 {2}127/m);
  assert.match(output.stdout, /^snapshot {2}meter-2 {2}kept .*\(keep-alive\)$/m);
  parts.sessions.upsert('edge-1', [session('meter-3')]);
  await shows(/^added {5}meter-3 /m);
  parts.sessions.remove('edge-1', ['meter-3']);
  await shows(/^removed {3}meter-3 {2}ended /m);
  child.kill('SIGINT');
  assert.deepEqual(await exit, [0, null]);
  assert.equal(output.stderr, '');
});

test('a list that is followed is a table, then a line for each change', async () => {
  const filter = ['-f', 'client_id = meter-*', '--fields', 'state'];
  const { child, output, shows, exit } = following('list', '--follow', ...filter, ...there());
  await shows(/-- 2 sessions; changes follow --\n/);
  assert.deepEqual(output.stdout.split('\n').slice(0, 3), [
    'CLIENT_ID  STATE',
    'meter-1    connected',
    'meter-2    kept',
  ]);
  parts.sessions.upsert('edge-1', [session('meter-3')]);
  await shows(/^added {5}meter-3 /m);
  parts.sessions.remove('edge-1', ['meter-3']);
  child.kill('SIGINT');
  assert.deepEqual(await exit, [0, null]);
  await assert.rejects(run('list', '--follow', '--group', 'state', ...there()), {
    message: /--follow shows changes as they come; leave out --order, --group/,
  });
});

test('a watch says why when the core ends it', async () => {
  const other = await openHttp(
    { ...parts, clock: systemClock, readiness: () => ({ ready: true, reasons: [] }) },
    { host: '127.0.0.1', port: 0, token: '', consoleDirectory: 'absent' },
  );
  const url = `http://127.0.0.1:${other.port}`;
  const { output, shows, exit } = watchProcess('--json', '--http', url);
  await shows(/"event":"snapshot_end","sequence":5,"position":"[^"]+","session_count":4/);
  await other.close();
  assert.deepEqual(await exit, [1, null]);
  assert.match(output.stderr, /The core is stopping; watch again later/);
});
