/** The parts of authentication by themselves: forms of names, the published vectors, bounds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plainIdentity } from '../../base/identity.ts';
import { reauthenticateMs } from '../../base/limits.ts';
import { createLog } from '../../base/log.ts';
import { Metrics } from '../../base/metrics.ts';
import { AttemptThrottle, networkOf } from '../../broker/auth/attempt-throttle.ts';
import { accepted, refused, unknown, type Verdict } from '../../broker/auth/authenticator.ts';
import { Certificates } from '../../broker/auth/certificates.ts';
import { AuthenticatorChain } from '../../broker/auth/chain.ts';
import { namesIn } from '../../broker/auth/peer-certificate.ts';
import { verifierOf } from '../../broker/auth/scram-verifier.ts';
import { FrameScanner } from '../../broker/connection/frame-scanner.ts';
import { AuthDialogue } from '../../broker/mqtt5/auth.ts';
import { bytesOf } from '../support/client-5.ts';

const nobody = {
  clientId: 'c',
  username: '',
  password: null,
  remoteAddress: '192.0.2.1:1',
  listener: 'mqtt',
  certificate: null,
};

const log = createLog({ level: 'silent', format: 'json', tier: 'test' });

test('the keys that are kept of a SCRAM password are those of RFC 7677', () => {
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
  const { storedKey, serverKey } = verifierOf('pencil', { salt, iterations: 4_096 });
  assert.equal(storedKey.toString('base64'), 'WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=');
  assert.equal(serverKey.toString('base64'), 'wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=');
});

test('a quoted alternative name does not pass for two', () => {
  assert.deepEqual(namesIn('DNS:a.example, URI:urn:b, IP Address:127.0.0.1'), [
    'DNS:a.example',
    'URI:urn:b',
    'IP Address:127.0.0.1',
  ]);
  assert.deepEqual(namesIn('URI:"http://x/, DNS:admin", DNS:real'), ['DNS:real']);
  assert.deepEqual(namesIn('URI:"\\", DNS:admin", DNS:real'), ['DNS:real']);
  assert.deepEqual(namesIn('URI:"unfinished, DNS:admin'), []);
  assert.equal(namesIn(Array.from({ length: 99 }, (_, i) => `DNS:${i}`).join(', ')).length, 16);
});

function nameIn(form: string, facts: { commonName?: string; names?: string[] }): string {
  const { commonName = '', names = [] } = facts;
  const certificate = { commonName, alternativeNames: names, sha256: '', serialNumber: '' };
  const verdict = new Certificates(form).authenticate({
    ...nobody,
    certificate: { ...certificate, notAfter: 7 },
  });
  if (verdict.kind !== 'accepted') return verdict.kind;
  assert.equal(verdict.identity.expiresAt, 7);
  return `${verdict.identity.name}@${verdict.identity.tenant}`;
}

test('a certificate names whom its form says, wholly or not at all', () => {
  assert.equal(nameIn('CN:{name}', { commonName: 'pump-7' }), 'pump-7@');
  assert.equal(nameIn('CN:{name}', { names: ['DNS:pump-7'] }), 'unknown');
  assert.equal(nameIn('CN:dev.{name}', { commonName: 'xdev.a' }), 'unknown');
  assert.equal(nameIn('CN:dev.{name}', { commonName: 'devXa' }), 'unknown');
  const spiffe = 'URI:spiffe://{tenant}/{name}';
  assert.equal(nameIn(spiffe, { names: ['URI:spiffe://acme/pump'] }), 'pump@acme');
  assert.equal(nameIn(spiffe, { names: ['DNS:spiffe://acme/pump'] }), 'unknown');
  assert.equal(nameIn(spiffe, { names: ['URI:spiffe://acme/x/pump'] }), 'unknown');
  const dns = 'DNS:{name}.{tenant}.example';
  assert.equal(nameIn(dns, { names: ['DNS:a.b.example'] }), 'a@b');
  assert.equal(nameIn(dns, { names: ['DNS:a.b.example.evil'] }), 'unknown');
  assert.equal(nameIn(dns, { names: ['DNS:a.b.example', 'DNS:c.d.example'] }), 'refused');
});

test('the first authenticator that knows the client decides, also when one has to wait', async () => {
  const asked: string[] = [];
  const one = (method: string, verdict: () => Verdict | Promise<Verdict>) => ({
    method,
    authenticate: () => {
      asked.push(method);
      return verdict();
    },
  });
  const chainOf = (...list: ReturnType<typeof one>[]) => new AuthenticatorChain(log, list);
  const yes = accepted(plainIdentity({ name: 'n', method: 'b' }));
  const sync = chainOf(
    one('a', () => unknown),
    one('b', () => yes),
    one('c', () => refused('credentials')),
  );
  assert.equal(sync.authenticate(nobody), yes);
  assert.deepEqual(asked, ['a', 'b']);
  const late = chainOf(
    one('a', async () => unknown),
    one('b', async () => yes),
  );
  assert.equal(await late.authenticate(nobody), yes);
  assert.deepEqual(chainOf(one('a', () => unknown)).authenticate(nobody), refused('credentials'));
  const failing = [
    one('a', () => {
      throw new Error('broken');
    }),
    one('a', () => Promise.reject(new Error('broken'))),
  ];
  for (const broken of failing) {
    const verdict = await chainOf(
      broken,
      one('b', () => yes),
    ).authenticate(nobody);
    assert.deepEqual(verdict, refused('authentication-unavailable'));
  }
});

test('addresses of one machine or site are one to the throttle', () => {
  assert.equal(networkOf('192.0.2.7:1883'), '192.0.2.7');
  assert.equal(networkOf('::ffff:192.0.2.7:1883'), '192.0.2.7');
  assert.equal(networkOf('2001:db8:1:2:3:4:5:6:1883'), '2001:db8:1:2::/64');
  assert.equal(networkOf('2001:db8::5:1883'), networkOf('2001:db8::ffff:9'));
  assert.notEqual(networkOf('2001:db8::5:1'), networkOf('2001:db8:0:1::5:1'));
});

test('waits double up to their bound, and tables of failures do not grow without one', () => {
  let now = 0;
  const clock = {
    now: () => now,
    elapsed: () => now,
    after: () => () => {},
    every: () => () => {},
  };
  const metrics = new Metrics();
  const throttle = new AttemptThrottle(
    { clock, metrics },
    { failuresOfName: 1_000_000, failuresOfAddress: 2, waitMsMax: 8_000 },
  );
  const attempt = { address: '192.0.2.1', name: 'n' };
  const waits: number[] = [];
  for (let i = 0; i < 8; i++) {
    throttle.failed(attempt);
    const began = now;
    while (throttle.isBlocked(attempt)) now += 500;
    waits.push(now - began);
  }
  assert.deepEqual(waits, [0, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000]);
  now += 16_000;
  throttle.failed(attempt);
  assert.equal(throttle.isBlocked(attempt), false);
  for (let i = 0; i < 30_000; i++) {
    throttle.failed({ address: `${i}`, name: `${i}`.padStart(100, 'x') });
  }
  assert.match(metrics.text(), /trunkline_auth_throttle_entries 40000\n/);
});

function authFrame(): FrameScanner {
  const scanner = new FrameScanner(1_000);
  const properties = { authenticationMethod: 'M' };
  scanner.push(bytesOf({ cmd: 'auth', reasonCode: 0x19, properties }));
  assert.ok(scanner.next());
  return scanner;
}

test('a client that authenticates anew and does not finish is put out in time', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const identity = plainIdentity({ name: 'n', method: 'M' });
  const heard: (string | number)[] = [];
  let count = 0;
  const dialogue = AuthDialogue.begin(
    {
      begin: () => ({
        step: async () =>
          count++ === 0
            ? { kind: 'accepted', data: null, identity }
            : { kind: 'challenge', data: null },
      }),
    },
    { method: 'M', clientId: 'c', username: '', remoteAddress: '' },
    {
      data: null,
      outcome: {
        answer: (code) => heard.push(code),
        accepted: () => heard.push('accepted'),
        renewed: () => true,
        refused: (code) => heard.push(`refused ${code}`),
      },
    },
  );
  assert.ok(dialogue !== null);
  await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(60_000);
  assert.equal(dialogue.take(authFrame()), null);
  await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(reauthenticateMs - 1);
  assert.deepEqual(heard, ['accepted', 0x18]);
  t.mock.timers.tick(1);
  assert.deepEqual(heard, ['accepted', 0x18, `refused ${0x87}`]);
  dialogue.close();
});
