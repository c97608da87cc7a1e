/** The registry of devices over real processes: made by the command, known at the edge, also without
 * a core. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { main } from '../../cli/main.ts';
import { TestClient } from '../support/clients.ts';
import { testIo } from '../support/command-io.ts';
import { edgePorts, metric, restartCore, samePorts, urlOf } from '../support/fleet.ts';
import { type RunningProcess, startProcess, temporaryFolder } from '../support/processes.ts';
import { until } from '../support/until.ts';

const rules = JSON.stringify([
  { name: 'own', effect: 'allow', action: 'publish', filter: 'up/{device}/#' },
  { name: 'site', effect: 'allow', action: 'subscribe', filter: 'site/{label.site}/#' },
  { name: 'news', effect: 'allow', action: 'subscribe', filter: 'news', roles: ['readers'] },
]);

let core: RunningProcess;
let edge: RunningProcess;
const secrets: string[] = [];

function edgeFlags(): string[] {
  const address = `127.0.0.1:${core.port('trunk')}`;
  const rights = ['--auth-registry', '--rights-rule', rules];
  return ['--edge-cores', address, ...rights, '--log-level', 'debug'];
}

before(async () => {
  core = await startProcess('core', { flags: ['--log-level', 'debug'] });
  edge = await startProcess('edge', { flags: edgeFlags() });
});

after(async () => {
  const written = [core, edge].map((one) => one.stdout + one.stderr).join('');
  await edge.stop();
  await core.stop();
  for (const secret of secrets)
    assert.equal(written.includes(secret), false, 'a secret was logged');
});

async function registry(...args: string[]): Promise<{ code: number; out: string; error: string }> {
  const io = testIo();
  const at = ['--core', `127.0.0.1:${core.port('gateway')}`];
  const code = await main(['registry', ...args, ...at], io);
  return { code, out: io.stdout.text, error: io.stderr.text };
}

interface Issued {
  readonly name: string;
  readonly secret: string;
  readonly labels: Record<string, string>;
}

/** Made, and known at the edge. */
async function made(name: string, ...args: string[]): Promise<string> {
  const known = await metric(edge, 'trunkline_registry_devices');
  const { out } = await registry('create', name, ...args);
  const { secret } = JSON.parse(out) as Issued;
  secrets.push(secret);
  const isKnown = async () => (await metric(edge, 'trunkline_registry_devices')) > known;
  await until(isKnown, 'the edge knows the device');
  return secret;
}

function login(name: string, secret: string, more: object = {}): Promise<TestClient> {
  const who = { clientId: name, username: name, password: secret };
  return TestClient.connect(urlOf(edge), { ...who, ...more });
}

function closed(client: TestClient): Promise<void> {
  return new Promise((resolve) => client.mqtt.once('close', () => resolve()));
}

test('a device is let in with its secret, under its name, with its roles and labels', async () => {
  const secret = await made('m-1', '--role', 'readers', '--label', 'site=north');
  const device = await login('m-1', secret);
  assert.deepEqual(await device.subscribe(['site/north/a', 'news']), [0, 0]);
  await assert.rejects(device.subscribe('site/south/a'));
  await device.publish('up/m-1/t', 'x', { qos: 1 });
  await device.end();
  await assert.rejects(login('m-1', `${secret}x`), /Not authorized|Bad username/i);
  await assert.rejects(login('m-1', secret, { clientId: 'm-2' }), /./);
  await assert.rejects(login('nobody', secret), /./);
  await assert.rejects(TestClient.connect(urlOf(edge), { clientId: 'm-1' }), /./);
  // Known again without hashing.
  await (await login('m-1', secret)).end();
  const again = await registry('create', 'm-1');
  assert.equal(again.code, 1);
  assert.match(again.error, /"m-1" is there already/);
});

test('other roles and labels hold for a connection that is there', async () => {
  const device = await login('m-3', await made('m-3', '--role', 'readers'), { protocolVersion: 5 });
  await device.subscribe('news', 1);
  const taken = await metric(edge, 'trunkline_subscriptions_taken_back_total');
  await registry('update', 'm-3', '--role', '', '--label', 'site=south');
  const isTaken = async () =>
    (await metric(edge, 'trunkline_subscriptions_taken_back_total')) > taken;
  await until(isTaken, 'the subscription is taken back');
  assert.deepEqual(await device.subscribe('site/south/x'), [0]);
  await assert.rejects(device.subscribe('news'));
  await device.end();
});

test('a device that is disabled, deleted or has another secret loses its connection', async () => {
  const first = await made('m-4');
  const session = { clean: false };
  const device = await login('m-4', first, session);
  let gone = closed(device);
  await registry('update', 'm-4', '--disabled', 'true');
  await gone;
  await assert.rejects(login('m-4', first));
  await registry('update', 'm-4', '--disabled', 'false');
  await until(
    async () =>
      (await login('m-4', first, session).then(
        (one) => one.end(),
        () => 'no',
      )) !== 'no',
    'enabled',
  );
  const again = await login('m-4', first, session);
  assert.equal(again.sessionPresent, true);
  gone = closed(again);
  const { secret } = JSON.parse((await registry('rotate', 'm-4')).out) as Issued;
  secrets.push(secret);
  await gone;
  await assert.rejects(login('m-4', first));
  const rotated = await login('m-4', secret, session);
  assert.equal(rotated.sessionPresent, true);
  gone = closed(rotated);
  assert.equal((await registry('delete', 'm-4')).code, 0);
  await gone;
  await assert.rejects(login('m-4', secret));
  assert.match((await registry('get', 'm-4')).error, /no device "m-4"/);
});

test('many devices come from a file, and go to one, as CSV and as NDJSON', async () => {
  const file = join(temporaryFolder(), 'devices');
  writeFileSync(
    file,
    'name,roles,labels\nf-1,"readers a",site=north\nf-2,,"site=far%20south zone=2"\n',
  );
  const csv = await registry('import', file, '--format', 'csv');
  assert.match(
    csv.out,
    /^name,roles,labels,disabled,secret\nf-1,"readers a",site=north,false,\S{32}\n/,
  );
  writeFileSync(file, '{"name":"f-3","labels":{"site":"west"}}\n{"name":"f-4","roles":["a"]}\n');
  const json = await registry('import', file);
  const issued = json.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Issued);
  assert.deepEqual(
    issued.map(({ name }) => name),
    ['f-3', 'f-4'],
  );
  secrets.push(...issued.map(({ secret }) => secret));
  const listed = await registry('list', '--format', 'csv');
  assert.match(listed.out, /\nf-2,,"site=far%20south zone=2",false\n/);
  assert.equal(listed.out.includes('secret'), false);
  writeFileSync(file, '{"name":"f-5"}\n{"name":"f-1"}\n');
  const twice = await registry('import', file);
  assert.match(twice.error, /"f-1" is there already/);
  assert.match((await registry('get', 'f-5')).error, /no device "f-5"/);
  writeFileSync(file, '{"name":"f-6"}\n{"nome":"f-7"}\n');
  assert.match((await registry('import', file)).error, /^trunkline: Line 2 /);
});

test('known devices are let in while no core is in reach, also by an edge that starts then', async () => {
  const secret = await made('m-8');
  await core.kill();
  await (await login('m-8', secret)).end();
  await edge.kill();
  const ports = samePorts(edge, edgePorts);
  edge = await startProcess('edge', { data: edge.data, flags: [...edgeFlags(), ...ports] });
  await (await login('m-8', secret)).end();
  await assert.rejects(login('m-8', 'wrong'));
  core = await restartCore(core);
  const isCurrent = async () => (await metric(edge, 'trunkline_registry_current')) === 1;
  await until(isCurrent, 'the edge is told again');
  await (await login('m-8', secret)).end();
  await registry('delete', 'm-8');
  await until(
    async () =>
      (await login('m-8', secret).then(
        (one) => one.end(),
        () => 'no',
      )) === 'no',
    'the deletion is heard',
  );
});
