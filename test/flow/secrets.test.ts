/**
 * Secrets planted wherever there is a place for one, and looked for wherever something is written or
 * shown: logs at the most talkative level, metrics, answers of HTTP, errors, the printed
 * configuration, the list of processes.
 */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { verifierOf, verifierText } from '../../broker/auth/scram-verifier.ts';
import { Client5 } from '../support/client-5.ts';
import { HookServer } from '../support/hook-server.ts';
import {
  type RunningProcess,
  runCommand,
  startProcess,
  temporaryFolder,
} from '../support/processes.ts';
import { ScramClient } from '../support/scram-client.ts';
import { until } from '../support/until.ts';

const planted = new Map<string, string>();

/** A secret that nothing else looks like. */
function secret(name: string): string {
  const text = `canary-${randomBytes(12).toString('hex')}`;
  planted.set(name, text);
  return text;
}

const passwords = { right: secret('password'), wrong: secret('wrong password') };
const scramPassword = secret('SCRAM password');
const tokens = { trunk: secret('trunk.token'), gateway: secret('gateway.token') };
const httpToken = secret('http.token');
const hookToken = secret('auth_http.token');

let hook: HookServer;
let system: RunningProcess;
let config = '';

before(async () => {
  hook = await HookServer.open();
  hook.answer = (_asked, response) => response.writeHead(500).end(hookToken);
  const folder = temporaryFolder();
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  const keys = join(folder, 'keys.json');
  writeFileSync(keys, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'k' }] }));
  const sign = (seconds: number) =>
    new SignJWT({ iss: 'i', aud: 'a', sub: 'meter' })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .setExpirationTime(Math.floor(Date.now() / 1_000) + seconds)
      .sign(privateKey);
  planted.set('token', await sign(60));
  planted.set('expired token', await sign(-60));
  const digest = createHash('sha256').update(passwords.right).digest('hex');
  planted.set('password digest', digest);
  const verifier = verifierText(
    verifierOf(scramPassword, { salt: randomBytes(16), iterations: 4_096 }),
  );
  planted.set('verifier', verifier.split(':')[2] as string);
  config = join(folder, 'trunkline.toml');
  writeFileSync(
    config,
    [
      `[log]\nlevel = "trace"\nformat = "json"`,
      `[auth]\nusers = [{ username = "pump", password_sha256 = "${digest}" }]`,
      `scram_users = [{ username = "valve", verifier = "${verifier}" }]`,
      `[jwt]\nkeys = "${keys}"\nissuer = "i"\naudience = "a"`,
      `[auth_http]\nurl = "${hook.url}/${secret('auth_http path')}"\ntoken = "${hookToken}"`,
      `[trunk]\ntoken = "${tokens.trunk}"\n[gateway]\ntoken = "${tokens.gateway}"`,
      `[http]\ntoken = "${httpToken}"`,
    ].join('\n'),
  );
  // What is asked for by the address may be logged: it is no place for a secret.
  planted.delete('auth_http path');
  system = await startProcess('up', { flags: ['--config', config] });
});

after(() => hook.close());

function found(text: string): string[] {
  const forms = (one: string) => [
    one,
    Buffer.from(one).toString('base64').replace(/=+$/, ''),
    Buffer.from(one).toString('hex'),
    JSON.stringify([...Buffer.from(one)]).slice(1, -1),
  ];
  return [...planted]
    .filter(([, one]) => forms(one).some((form) => text.includes(form)))
    .map(([name]) => name);
}

async function attempt(username: string, password: string): Promise<void> {
  const client = await Client5.open(system.port('mqtt'));
  await client.connect('c', { username, password: Buffer.from(password) });
  client.socket.destroy();
  await client.closed;
}

/** Every way in, right and wrong. */
async function useAll(): Promise<void> {
  for (const password of Object.values(passwords)) await attempt('pump', password);
  for (const name of ['token', 'expired token', 'wrong password']) {
    await attempt('else', planted.get(name) as string);
  }
  for (const password of [scramPassword, passwords.wrong]) {
    const scram = await ScramClient.open(system.port('mqtt'), { username: 'valve', password });
    await scram.connect('v');
    scram.client.socket.destroy();
    await scram.client.closed;
  }
  const plain = { username: 'valve', password: Buffer.from(scramPassword) };
  const will = { topic: '$no', payload: Buffer.from('w'), qos: 0, retain: false };
  const refused = await Client5.open(system.port('mqtt'));
  await refused.connect('w', { ...plain, will });
  refused.socket.destroy();
}

const get = async (path: string, token = httpToken) => {
  const url = `http://127.0.0.1:${system.port('http')}${path}`;
  return (await fetch(url, { headers: { authorization: `Bearer ${token}` } })).text();
};

test('no secret is in logs, metrics, answers, or the list of processes', async () => {
  await useAll();
  await until(
    () => /authentication service failed/.test(system.stdout + system.stderr),
    'it failed',
  );
  const edge = await fetch(`http://127.0.0.1:${system.port('edge_http')}/metrics`);
  const shown: [string, string][] = [
    ['log', system.stdout + system.stderr],
    ['metrics of the edge', await edge.text()],
    ['metrics', await get('/metrics')],
    ['sessions', await get('/v1/sessions')],
    ['edges', await get('/v1/edges')],
    ['a refusal', await get('/v1/sessions', passwords.wrong)],
    ['an error', await get('/v1/none')],
  ];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    for (const file of ['cmdline', 'comm']) {
      shown.push([`${file} of ${pid}`, textOf(`/proc/${pid}/${file}`)]);
    }
  }
  for (const [where, text] of shown) assert.deepEqual(found(text), [], where);
  assert.match(shown[0]?.[1] ?? '', /connection refused/);
});

test('no secret is in the printed configuration, nor in the sentence about a wrong one', async () => {
  const printed = await runCommand(['config', '--config', config]);
  assert.equal(printed.code, 0);
  assert.deepEqual(found(printed.stdout + printed.stderr), []);
  for (const key of [
    'AUTH_USERS',
    'AUTH_SCRAM_USERS',
    'AUTH_HTTP_TOKEN',
    'HTTP_TOKEN',
    'AUTH_HTTP_URL',
  ]) {
    const env = { [`TRUNKLINE_${key}`]: `${passwords.right} with a space` };
    const refused = await runCommand(['config', 'check'], { env });
    assert.equal(refused.code, 1, key);
    assert.deepEqual(found(refused.stdout + refused.stderr), [], key);
  }
  const broken = join(temporaryFolder(), 'broken.toml');
  writeFileSync(broken, `[http]\ntoken = "${httpToken}" "\n`);
  const syntax = await runCommand(['config', 'check', '--config', broken]);
  assert.equal(syntax.code, 1);
  assert.deepEqual(found(syntax.stdout + syntax.stderr), []);
});

test('what is kept on disk has no password and no token in it', async () => {
  await system.stop();
  const files = readdirSync(system.data, { recursive: true, withFileTypes: true });
  for (const file of files.filter((one) => one.isFile())) {
    const path = join(file.parentPath ?? file.path, file.name);
    assert.deepEqual(found(readFileSync(path, 'latin1')), [], path);
  }
});

/** Empty for a process that has ended. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
