/** `trunkline init`: what it makes works at once, lets nobody else in, and is never written over. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { TestClient } from '../support/clients.ts';
import { runCommand, startProcess, temporaryFolder } from '../support/processes.ts';

const modeOf = (path: string) => statSync(path).mode & 0o777;
const shown = (text: string, form: RegExp) => form.exec(text)?.[1] ?? '';

test('one command makes a system that is closed to strangers and open to its own', async () => {
  const folder = join(temporaryFolder(), 'secure');
  const made = await runCommand(['init', folder, '--device', 'meter', '--edge', 'edge-7']);
  assert.equal(made.code, 0, made.stderr);
  const password = shown(made.stdout, /user name meter, password (\S+)/);
  const token = shown(made.stdout, /operator token (\S+)/);
  assert.ok(password.length >= 32 && token.length >= 32);
  const file = join(folder, 'trunkline.toml');
  assert.ok(!readFileSync(file, 'utf8').includes(password), 'only its hash is kept');

  const up = await startProcess('up', { flags: ['--config', file, '--log-level', 'warn'] });
  const ca = readFileSync(join(folder, 'tls', 'ca.pem'));
  const url = `mqtts://localhost:${up.port('mqtts')}`;
  try {
    const device = await TestClient.connect(url, { ca, username: 'meter', password });
    await device.roundTrip();
    await assert.rejects(TestClient.connect(url, { ca, username: 'meter', password: 'guess' }));
    await assert.rejects(TestClient.connect(url, { username: 'meter', password }), /certificate/);
    const env = { NODE_EXTRA_CA_CERTS: join(folder, 'tls', 'ca.pem') };
    const list = ['sessions', 'list', '--http', `https://localhost:${up.port('http')}`];
    const seen = await runCommand([...list, '--json', '--token', token], { env });
    assert.match(seen.stdout, /"edge_id": ?"edge-7"/);
    assert.match((await runCommand(list, { env })).stderr, /wants a token/);
    await device.end();
    assert.ok(!up.stderr.includes(password) && !up.stderr.includes(token));
  } finally {
    await up.stop();
  }
});

test('keys and configuration are for their owner alone, and nothing is written over', async () => {
  const folder = join(temporaryFolder(), 'secure');
  const names = ['--names', 'edge.example, 10.0.0.5,localhost'];
  const { code } = await runCommand(['init', folder, ...names]);
  assert.equal(code, 0);
  assert.equal(modeOf(folder), 0o700);
  for (const name of ['trunkline.toml', 'tls/ca.key', 'tls/server.key']) {
    assert.equal(modeOf(join(folder, name)), 0o600, name);
  }
  const before = readFileSync(join(folder, 'trunkline.toml'), 'utf8');
  assert.match(before, /\[mqtts\]\nhost = "0\.0\.0\.0"/);
  assert.ok(!/\[mqtt\]/.test(before), 'plain MQTT stays on loopback');
  const again = await runCommand(['init', folder]);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /exists already, and nothing is written over: name another folder/);
  assert.equal(readFileSync(join(folder, 'trunkline.toml'), 'utf8'), before);
});

test('what cannot be a name is refused before anything is written', async () => {
  const parent = temporaryFolder();
  for (const [flag, value] of [
    ['--names', 'not a host'],
    ['--edge', 'a/b'],
    ['--device', ''],
  ] as const) {
    const refused = await runCommand(['init', join(parent, 'x'), flag, value]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, new RegExp(flag));
  }
  assert.deepEqual(readdirSync(parent), []);
});
