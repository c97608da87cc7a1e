/** Who is let in by what, over real connections: certificates, tokens, an HTTP service, SCRAM. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { verifierOf, verifierText } from '../../broker/auth/scram-verifier.ts';
import { TestAuthority } from '../support/authority.ts';
import { hasOpenssl } from '../support/certificate.ts';
import { Client5, type Packet5 } from '../support/client-5.ts';
import { TestClient } from '../support/clients.ts';
import { HookServer } from '../support/hook-server.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import { dataOf, ScramClient } from '../support/scram-client.ts';
import { until } from '../support/until.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const users = [{ username: 'pump', password_sha256: sha256('right') }];
const codes = { credentials: 0x86, foreign: 0x85, notAuthorized: 0x87, unavailable: 0x88 };
const throttledCode = 0x9f;
const patient = { attempts_per_address: 1_000, attempts: 1_000 };

let folder = '';
let hook: HookServer;
const opened: LocalBroker[] = [];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trunkline-auth-'));
  hook = await HookServer.open();
});

after(async () => {
  for (const edge of opened) await edge.discard();
  await hook.close();
  await rm(folder, { recursive: true, force: true });
});

async function edgeWith(settings: Record<string, Record<string, unknown>>): Promise<LocalBroker> {
  const edge = await openLocalBroker(settings);
  opened.push(edge);
  return edge;
}

async function answered(
  edge: LocalBroker,
  clientId: string,
  by: { username?: string; password?: string | Buffer } = {},
): Promise<number | undefined> {
  const client = await Client5.open(edge.port);
  const { username, password } = by;
  const connack = await client.connect(clientId, {
    ...(username === undefined && password === undefined ? {} : { username: username ?? 'x' }),
    ...(password === undefined ? {} : { password: Buffer.from(password) }),
  });
  client.socket.destroy();
  await client.closed;
  return connack.reasonCode;
}

function identityOf(edge: LocalBroker, clientId: string): [string, string] | undefined {
  const facts = [...edge.broker.localDelivery.sessions()];
  const found = facts.find((one) => one.clientId === clientId);
  return found === undefined ? undefined : [found.username, found.authMethod];
}

test('a client identifier bound to the credential may not be another device’s', async () => {
  const equal = await edgeWith({ auth: { users, client_id: 'equal' } });
  const by = { username: 'pump', password: 'right' };
  assert.equal(await answered(equal, 'pump', by), 0);
  for (const other of ['pump2', 'pump/2', '', 'Pump']) {
    assert.equal(await answered(equal, other, by), codes.foreign, other);
  }
  assert.match(equal.metrics.text(), /refused_total\{reason="client-id-foreign"\} 4/);
  const prefix = await edgeWith({ auth: { users, client_id: 'prefix' } });
  for (const own of ['pump', 'pump/2', 'pump:x']) assert.equal(await answered(prefix, own, by), 0);
  for (const other of ['pump2', 'pump-2', 'x/pump', 'pum']) {
    assert.equal(await answered(prefix, other, by), codes.foreign, other);
  }
});

test('who guesses is made to wait, and does not lock out whom he guesses at', async () => {
  const edge = await edgeWith({ auth: { users, attempts: 3, attempts_per_address: 6 } });
  const right = { username: 'pump', password: 'right' };
  const wrong = { username: 'pump', password: 'guess' };
  assert.equal(await answered(edge, 'pump', right), 0);
  for (let i = 0; i < 4; i++) assert.equal(await answered(edge, 'x', wrong), codes.credentials);
  // The name is slowed down now, but not for where it came from when it was right.
  assert.equal(await answered(edge, 'pump', right), 0);
  for (const username of ['a', 'b']) {
    assert.equal(await answered(edge, 'x', { username }), codes.credentials);
  }
  assert.equal(await answered(edge, 'x', { username: 'c' }), throttledCode);
  assert.equal(await answered(edge, 'pump', right), throttledCode);
  assert.match(edge.metrics.text(), /trunkline_auth_throttled_total\{by="address"\} 2/);
  assert.match(edge.metrics.text(), /refused_total\{reason="credentials-throttled"\} 2/);
  await until(async () => (await answered(edge, 'pump', right)) === 0, 'it may come again');
});

const jwtSettings = { issuer: 'https://issuer.test', audience: 'fleet', algorithms: ['ES256'] };

async function signer(kid: string, algorithm = 'ES256') {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const jwk = { ...(await exportJWK(publicKey)), kid };
  const sign = (claims: JWTPayload = {}, seconds = 60) =>
    new SignJWT({ iss: 'https://issuer.test', aud: 'fleet', sub: 'meter-1', ...claims })
      .setProtectedHeader({ alg: algorithm, kid })
      .setExpirationTime(Math.floor(Date.now() / 1_000) + seconds)
      .sign(privateKey);
  return { jwk, privateKey, sign };
}

function unsigned(header: object, claims: object): string {
  const parts = [header, claims].map((one) =>
    Buffer.from(JSON.stringify(one)).toString('base64url'),
  );
  return `${parts.join('.')}.${randomBytes(64).toString('base64url')}`;
}

test('a token lets its subject in, and one that is wrong in any way does not', async () => {
  const [good, other, rsa] = [await signer('k1'), await signer('k1'), await signer('k1', 'RS256')];
  const keys = join(folder, 'keys.json');
  await writeFile(keys, JSON.stringify({ keys: [good.jwk] }));
  const jwt = { ...jwtSettings, keys, tenant_claim: 'tenant', roles_claim: 'roles' };
  const edge = await edgeWith({ jwt, auth: patient });
  const password = await good.sign({ tenant: 't', roles: ['reader'] });
  const client = await Client5.session(edge.port, 'm', {
    username: 'x',
    password: Buffer.from(password),
  });
  assert.deepEqual(identityOf(edge, 'm'), ['meter-1', 'jwt']);
  await client.disconnect();
  const now = Math.floor(Date.now() / 1_000);
  const claims = { iss: 'https://issuer.test', aud: 'fleet', sub: 'meter-1', exp: now + 60 };
  const { exp: _end, ...endless } = claims;
  const withoutExpiry = await new SignJWT({ ...endless, tenant: 't' })
    .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
    .sign(good.privateKey);
  const wrong: [string, string, number][] = [
    ['another key', await other.sign({ tenant: 't' }), codes.credentials],
    ['an algorithm that is not listed', await rsa.sign({ tenant: 't' }), codes.credentials],
    ['no algorithm', unsigned({ alg: 'none' }, claims), codes.credentials],
    ['HMAC', unsigned({ alg: 'HS256', kid: 'k1' }, claims), codes.credentials],
    ['another issuer', await good.sign({ iss: 'https://x.test', tenant: 't' }), codes.credentials],
    ['another audience', await good.sign({ aud: 'other', tenant: 't' }), codes.credentials],
    ['no subject', await good.sign({ sub: '', tenant: 't' }), codes.credentials],
    ['no tenant', await good.sign(), codes.credentials],
    ['roles that are none', await good.sign({ tenant: 't', roles: [1] }), codes.credentials],
    ['no end', withoutExpiry, codes.credentials],
    ['not valid yet', await good.sign({ tenant: 't', nbf: now + 60 }), codes.credentials],
    ['over', await good.sign({ tenant: 't' }, -60), codes.notAuthorized],
    ['no token', 'password', codes.credentials],
  ];
  for (const [name, token, code] of wrong) {
    assert.equal(await answered(edge, 'w', { password: token }), code, name);
  }
  assert.match(edge.metrics.text(), /trunkline_auth_jwt_refused_total\{reason="expired"\} 1/);
  assert.match(edge.metrics.text(), /trunkline_auth_jwt_refused_total\{reason="algorithm"\} [23]/);
});

test('a session ends with its token, and says so', async () => {
  const { jwk, sign } = await signer('k1');
  const keys = join(folder, 'short.json');
  await writeFile(keys, JSON.stringify({ keys: [jwk] }));
  const edge = await edgeWith({ jwt: { ...jwtSettings, keys } });
  const client = await Client5.session(edge.port, 'm', {
    username: 'x',
    password: Buffer.from(await sign({}, 1)),
  });
  assert.equal(await client.farewell(), 0xa0);
  assert.match(edge.metrics.text(), /closed_total\{reason="credentials-expired"\} 1/);
});

test('a new key is found by its identifier, and keys that cannot be read leave the old', async () => {
  const [first, second] = [await signer('first'), await signer('second')];
  hook.json({ keys: [first.jwk] });
  const edge = await edgeWith({ jwt: { ...jwtSettings, keys: `${hook.url}/keys` }, auth: patient });
  assert.equal(await answered(edge, 'm', { password: await first.sign() }), 0);
  const loadedCount = hook.asked.length;
  hook.json({ keys: [first.jwk, second.jwk] });
  // Right after a reading nobody has them read anew: a flood of made-up identifiers would.
  for (let i = 0; i < 5; i++) {
    const refusedCode = await answered(edge, 'm', { password: await second.sign() });
    assert.equal(refusedCode, codes.credentials);
  }
  assert.equal(hook.asked.length, loadedCount);
  await until(async () => {
    return (await answered(edge, 'm', { password: await second.sign() })) === 0;
  }, 'the second key is known');
  hook.answer = (_asked, response) => response.writeHead(500).end();
  assert.equal(await answered(edge, 'm', { password: await first.sign() }), 0);
});

test('an HTTP service is asked once, then what it said holds', async () => {
  hook.asked.length = 0;
  hook.answer = ({ body }, response) => {
    const { username } = JSON.parse(body);
    response.end(JSON.stringify(username === 'good' ? { result: 'allow' } : { result: 'deny' }));
  };
  const edge = await edgeWith({ auth_http: { url: `${hook.url}/auth`, token: 'shared-secret' } });
  const good = { username: 'good', password: Buffer.of(0, 255, 1) };
  for (let i = 0; i < 3; i++) assert.equal(await answered(edge, 'a', good), 0);
  assert.equal(await answered(edge, 'a', { username: 'bad' }), codes.credentials);
  assert.equal(hook.asked.length, 2);
  const [{ authorization, body } = { authorization: '', body: '{}' }] = hook.asked;
  assert.equal(authorization, 'Bearer shared-secret');
  const { client_id, password_base64, listener } = JSON.parse(body);
  assert.deepEqual([client_id, password_base64, listener], ['a', 'AP8B', 'mqtt']);
  assert.match(edge.metrics.text(), /trunkline_auth_http_total\{outcome="cached"\} 2/);
});

test('a service that fails is left alone for a while, and clients are told to come again', async () => {
  hook.asked.length = 0;
  const bad: ((response: import('node:http').ServerResponse) => void)[] = [
    (response) => response.writeHead(500).end(),
    (response) => response.end('no JSON'),
    (response) => response.end('{"result":"perhaps"}'),
    (response) => response.writeHead(302, { location: `${hook.url}/elsewhere` }).end(),
    (response) => response.end('x'.repeat(100_000)),
    () => {},
  ];
  let next = 0;
  hook.answer = (_asked, response) => bad[next++]?.(response);
  const auth_http = { url: hook.url, timeout_ms: 200, breaker_failures: 6, breaker_seconds: 1 };
  const edge = await edgeWith({ auth_http });
  for (let i = 0; i < 9; i++) {
    assert.equal(await answered(edge, 'a', { username: `${i}` }), codes.unavailable);
  }
  assert.equal(hook.asked.length, 6);
  assert.match(edge.metrics.text(), /trunkline_auth_http_total\{outcome="breaker-open"\} 3/);
  assert.match(edge.metrics.text(), /trunkline_auth_http_breaker_open 1/);
  hook.json({ result: 'allow', name: 'n' });
  await until(async () => (await answered(edge, 'a')) === 0, 'it is asked again');
});

test('methods are asked in order, and the first that knows the client decides', async () => {
  hook.asked.length = 0;
  hook.json({ result: 'allow', name: 'by-http' });
  const auth_http = { url: hook.url, cache_seconds: 0 };
  const edge = await edgeWith({ auth: { users }, auth_http });
  assert.equal(await answered(edge, 'a', { username: 'pump', password: 'guess' }), 0x86);
  assert.equal(hook.asked.length, 0);
  const client = await Client5.session(edge.port, 'b', { username: 'else' });
  assert.deepEqual(identityOf(edge, 'b'), ['by-http', 'http']);
  await client.disconnect();
  const other = await edgeWith({ auth: { users, order: ['http'] }, auth_http });
  assert.equal(await answered(other, 'a', { username: 'pump', password: 'guess' }), 0);
});

const scramUsers = [
  {
    username: 'valve,7=x',
    verifier: verifierText(verifierOf('pencil', { salt: randomBytes(16), iterations: 4_096 })),
  },
];
const valve = { username: 'valve,7=x', password: 'pencil' };

test('SCRAM-SHA-256 proves both sides, and can be done anew while connected', async () => {
  const edge = await edgeWith({ auth: { scram_users: scramUsers } });
  const scram = await ScramClient.open(edge.port, valve);
  const connack = await scram.connect('v');
  assert.deepEqual([connack.cmd, connack.reasonCode], ['connack', 0]);
  assert.match(dataOf(connack).toString(), /^v=[\w+/]{43}=$/);
  assert.deepEqual(identityOf(edge, 'v'), ['valve,7=x', 'scram-sha-256']);
  const done = await scram.answer(await scram.again());
  assert.deepEqual([done.cmd, done.reasonCode], ['auth', 0]);
  await scram.client.disconnect();
});

test('SCRAM refuses a wrong password and an unknown name alike, then slows them down', async () => {
  const edge = await edgeWith({ auth: { scram_users: scramUsers, attempts: 2 } });
  const seen: Packet5[] = [];
  for (const who of [
    { ...valve, password: 'wrong' },
    { username: 'nobody', password: 'x' },
  ]) {
    const scram = await ScramClient.open(edge.port, who);
    seen.push(await scram.connect('v'));
    await scram.client.closed;
  }
  const said = seen.map(({ cmd, reasonCode }) => [cmd, reasonCode]);
  assert.deepEqual(said, [
    ['connack', codes.notAuthorized],
    ['connack', codes.notAuthorized],
  ]);
  for (const code of [codes.notAuthorized, throttledCode]) {
    const scram = await ScramClient.open(edge.port, { ...valve, password: 'wrong' });
    assert.equal((await scram.connect('v')).reasonCode, code);
    await scram.client.closed;
  }
  // Without SCRAM nobody is let in there.
  assert.equal(await answered(edge, 'v', { username: 'unlisted', password: 'pencil' }), 0x86);
});

test('whoever authenticates anew as somebody else is put out', async () => {
  const verifier = verifierText(verifierOf('pen', { salt: randomBytes(16), iterations: 4_096 }));
  const both = [...scramUsers, { username: 'other', verifier }];
  const edge = await edgeWith({ auth: { scram_users: both } });
  const scram = await ScramClient.open(edge.port, valve);
  await scram.connect('v');
  const other = await ScramClient.open(edge.port, { username: 'other', password: 'pen' });
  const properties = { authenticationMethod: 'SCRAM-SHA-256', authenticationData: other.first() };
  scram.client.send({ cmd: 'auth', reasonCode: 0x19, properties });
  const challenge = dataOf(await scram.client.next()).toString();
  const authenticationData = other.final(challenge);
  const final = { authenticationMethod: 'SCRAM-SHA-256', authenticationData };
  scram.client.send({ cmd: 'auth', reasonCode: 0x18, properties: final });
  assert.equal(await scram.client.farewell(), codes.notAuthorized);
  await other.client.cut();
});

const skip = hasOpenssl ? false : 'openssl is not installed';

test('a client certificate is an identity where an authority of the listener signed it', {
  skip,
}, async () => {
  const authority = new TestAuthority(folder);
  const server = authority.issue({ name: 'edge' });
  const alternatives = ['URI:urn:acme:pump-7'];
  const own = authority.issue({ name: 'pump-7', alternatives });
  const lost = authority.issue({ name: 'pump-7', alternatives });
  const strange = new TestAuthority(folder, 'Stranger').issue({ name: 'pump-7', alternatives });
  const edge = await edgeWith({
    auth: { certificate: 'URI:urn:{tenant}:{name}', client_id: 'equal' },
    tls: { ...server, crl: authority.revoke([lost]) },
    mqtts: { port: 0 },
    wss: { port: 0 },
  });
  const url = `mqtts://127.0.0.1:${edge.broker.ports.get('mqtts')}`;
  const trust = { ca: await readFileText(authority.ca) };
  const connect = async (files: { cert: string; key: string } | null, clientId = 'pump-7') => {
    if (files === null) return TestClient.connect(url, { ...trust, clientId });
    const [cert, key] = [await readFileText(files.cert), await readFileText(files.key)];
    return TestClient.connect(url, { ...trust, cert, key, clientId });
  };
  const client = await connect(own);
  assert.deepEqual(identityOf(edge, 'pump-7'), ['pump-7', 'certificate']);
  await client.end();
  await assert.rejects(connect(own, 'pump-8'), /identifier/i);
  for (const other of [null, lost, strange]) await assert.rejects(connect(other), /bad username/i);
});

function readFileText(path: string): Promise<string> {
  return readFile(path, 'utf8');
}
