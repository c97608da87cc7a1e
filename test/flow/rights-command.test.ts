/** Rules in a configuration file: what the command tells of them, and a file that changes. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { main } from '../../cli/main.ts';
import { TestClient } from '../support/clients.ts';
import { testIo } from '../support/command-io.ts';
import { startProcess, temporaryFolder } from '../support/processes.ts';
import { until } from '../support/until.ts';

const digest = createHash('sha256').update('secret').digest('hex');
const users = ['meter-1', 'hub']
  .map((name) => `[[auth.users]]\nusername = "${name}"\npassword_sha256 = "${digest}"\n`)
  .join('');

function rule(name: string, lines: readonly string[]): string {
  const quoted = lines.map((line) => line.replace(/= ([a-z].*)$/, '= "$1"'));
  return ['[[rights.rule]]', `name = "${name}"`, ...quoted, ''].join('\n');
}

const ownUp = rule('own-up', ['effect = allow', 'action = publish', 'filter = up/{device}/#']);
const news = rule('news', ['effect = allow', 'action = subscribe', 'filter = news/#', 'qos = 1']);
const secret = rule('secret', ['effect = deny', 'action = subscribe', 'filter = news/secret/#']);
const hub = rule('hub', ['effect = allow', 'action = publish', 'filter = news/#']);
const role = '[[rights.role]]\nname = "meters"\ndevices = ["meter-1"]\n';

async function explain(file: string, ...args: string[]): Promise<{ code: number; text: string }> {
  const io = testIo();
  const code = await main(['explain', ...args, '--config', file], io);
  return { code, text: io.stdout.text + io.stderr.text };
}

test('`trunkline explain` names the rule that decides', async () => {
  const file = join(temporaryFolder(), 'trunkline.toml');
  writeFileSync(file, role + ownUp + news + secret);
  const allowed = await explain(file, 'meter-1', 'publish', 'up/meter-1/t', '--qos', '1');
  assert.equal(allowed.code, 0);
  assert.match(
    allowed.text,
    /^meter-1 may publish up\/meter-1\/t\n {2}rule {3}own-up: allow publish/,
  );
  assert.match(allowed.text, /roles {2}meters/);
  const foreign = await explain(file, 'meter-1', 'publish', 'up/meter-2/t');
  assert.equal(foreign.code, 2);
  assert.match(
    foreign.text,
    /may not publish up\/meter-2\/t\n {2}because it is allowed by no rule/,
  );
  const kept = await explain(file, 'meter-1', 'publish', 'up/meter-1/t', '--retain');
  assert.match(kept.text, /not allowed with this retain by the rule own-up/);
  const wide = await explain(file, 'meter-1', 'subscribe', '$share/g/news/#', '--json');
  const { isAllowed, reason, rule: decided } = JSON.parse(wide.text) as Record<string, unknown>;
  assert.deepEqual([isAllowed, reason, decided], [false, 'denied', 'secret']);
  const lower = await explain(file, 'meter-1', 'subscribe', 'news/a', '--qos', '2');
  assert.match(lower.text, /may subscribe news\/a\n {2}at QoS 1/);
  const unsound = await explain(file, 'meter-1', 'publish', 'up/#');
  assert.equal(unsound.code, 1);
  assert.match(unsound.text, /has a wildcard/);
});

test('rules of a file that changes are in force within two seconds, and bad ones are not', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'trunkline.toml');
  const put = (text: string) => {
    writeFileSync(`${file}.new`, users + text);
    renameSync(`${file}.new`, file);
  };
  put(ownUp + news + hub);
  const edge = await startProcess('edge', { flags: ['--config', file] });
  const url = `mqtt://127.0.0.1:${edge.port('mqtt')}`;
  const login = (username: string) => TestClient.connect(url, { username, password: 'secret' });
  const reader = await login('meter-1');
  assert.deepEqual(await reader.subscribe('news/#', 1), [1]);
  const writer = await login('hub');
  const metric = async (name: string) => {
    const text = await (await fetch(`http://127.0.0.1:${edge.port('http')}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  };
  await writer.publish('news/1', 'read', { qos: 1 });
  await reader.expect(1);

  const changedAt = performance.now();
  put(ownUp + hub);
  await until(
    async () => (await metric('trunkline_subscriptions_taken_back_total')) === 1,
    'taken back',
  );
  assert.ok(performance.now() - changedAt < 2_000);
  await writer.publish('news/2', 'not read', { qos: 1 });

  for (const bad of ['[[rights.rule]]\nname = "half', '']) {
    const faults = await metric('trunkline_rights_faults_total');
    put(bad);
    await until(async () => (await metric('trunkline_rights_faults_total')) > faults, 'a fault');
  }
  await assert.rejects(reader.subscribe('news/#', 1));
  await writer.publish('news/3', 'still allowed, not read', { qos: 1 });
  assert.deepEqual(reader.texts, ['read']);
  await reader.end();
  await writer.end();
  await edge.stop();
});
