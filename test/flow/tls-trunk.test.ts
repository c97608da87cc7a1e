/** The trunk and the front door over TLS: who is let in, as whom, and certificates that change. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { configSchema } from '../../base/config-schema.ts';
import { setTlsFloor } from '../../base/tls/tls-floor.ts';
import { TlsIdentity } from '../../base/tls/tls-identity.ts';
import { openTrunkClient } from '../../bridge/trunk-client.ts';
import { GatewayServiceClient } from '../../proto/gen/trunkline/v1/gateway.ts';
import type { ControlResponse } from '../../proto/gen/trunkline/v1/trunk.ts';
import { type IssuedFiles, TestAuthority } from '../support/authority.ts';
import { openTestFront, row } from '../support/front.ts';
import { temporaryFolder } from '../support/processes.ts';
import { common, publication, TestCore, TestEdge } from '../support/trunk-world.ts';
import { until } from '../support/until.ts';

const folder = temporaryFolder();
const authority = new TestAuthority(folder);
const stranger = new TestAuthority(folder, 'Stranger');
const opened: TlsIdentity[] = [];
let core: TestCore;

async function identity(files: Partial<IssuedFiles>, parts = common()): Promise<TlsIdentity> {
  const all = { cert: '', key: '', ca: '', ...files };
  const one = await TlsIdentity.open(parts, { section: 'trunk', prefix: 'trunk.tls_', ...all });
  opened.push(one);
  return one;
}

before(async () => {
  setTlsFloor(configSchema.parse({}));
  const tls = await identity(authority.issue({ name: 'core-1' }));
  core = await TestCore.open(join(folder, 'log.db'), { tls });
});

after(async () => {
  await core.close();
  for (const one of opened) await one.close();
});

/** What comes of a hello: `welcome`, or what ended the stream. */
async function hello(edgeId: string, tls: TlsIdentity | null): Promise<string> {
  const client = openTrunkClient(`127.0.0.1:${core.port}`, tls);
  const call = client.control(new Metadata());
  try {
    return await new Promise<string>((resolve) => {
      call.on('error', (error: ServiceError) => resolve(error.details));
      call.on('data', ({ message }: ControlResponse) => {
        if (message?.$case === 'welcome') resolve('welcome');
      });
      const value = { edgeId, epoch: 'epoch-of-a-test', region: '', softwareVersion: '' };
      const all = { ...value, capabilities: [], laneCount: 4 };
      call.write({ message: { $case: 'hello', value: all } });
    });
  } finally {
    call.cancel();
    client.close();
  }
}

const edgeFiles = (name: string) =>
  authority.issue({ name: 'some edge', alternatives: [`URI:trunkline://edge/${name}`] });

test('edges with certificates of their own names exchange messages over TLS', async () => {
  const [a, b] = [await identity(edgeFiles('edge-a')), await identity(edgeFiles('edge-b'))];
  const sender = await new TestEdge('edge-a', core.port, { bridge: { tls: a } }).start();
  const receiver = await new TestEdge('edge-b', core.port, { bridge: { tls: b } }).start();
  try {
    await receiver.want('secure/#');
    sender.spool.append([publication('secure/x', 'hello')]);
    await receiver.receives(1);
    assert.deepEqual(receiver.payloads('secure/x'), ['hello']);
  } finally {
    await sender.bridge.close();
    await receiver.bridge.close();
  }
});

test('an edge is let in under the name in its certificate alone', async () => {
  const one = await identity(edgeFiles('edge-1'));
  const common = await identity(authority.issue({ name: 'edge-3' }));
  assert.equal(await hello('edge-1', one), 'welcome');
  assert.equal(await hello('edge-3', common), 'welcome');
  assert.match(await hello('edge-2', one), /certificate is of "edge-1", not of edge "edge-2"/);
  const gateway = authority.issue({
    name: 'edge-1',
    alternatives: ['URI:trunkline://gateway/edge-1'],
  });
  assert.match(await hello('edge-1', await identity(gateway)), /certificate is of nobody/);
});

test('lanes are opened by the edge of the certificate alone', async () => {
  const one = await identity(edgeFiles('edge-1'));
  const edge = await new TestEdge('edge-1', core.port, { bridge: { tls: one } }).start();
  const other = openTrunkClient(`127.0.0.1:${core.port}`, await identity(edgeFiles('edge-2')));
  try {
    const call = other.lane(new Metadata());
    const ended = new Promise<string>((resolve) => {
      call.on('error', (error: ServiceError) => resolve(error.details));
    });
    const of = { edgeId: 'edge-1', epoch: edge.spool.epoch, lane: 0, logEpoch: '', position: 0 };
    const value = { ...of, oldestSequence: 1, creditBytes: 1_024, acknowledged: 0 };
    call.on('data', () => {});
    call.write({ message: { $case: 'open', value } });
    assert.match(await ended, /certificate is of "edge-2", not of edge "edge-1"/);
  } finally {
    other.close();
    await edge.bridge.close();
  }
});

test('who has no certificate, or one of another authority, or none that is valid, stays outside', async () => {
  const without = await identity({ ca: authority.ca });
  assert.notEqual(await hello('edge-1', without), 'welcome');
  const { cert, key } = stranger.issue({ name: 'edge-1' });
  assert.notEqual(
    await hello('edge-1', await identity({ cert, key, ca: authority.ca })),
    'welcome',
  );
  assert.notEqual(await hello('edge-1', null), 'welcome');
});

test('an edge does not talk to a core of another authority, or of another name', async () => {
  const strangers = stranger.issue({ name: 'edge-1' });
  assert.match(await hello('edge-1', await identity(strangers)), /certificate/);
  const elsewhere = await TestCore.open(join(folder, 'other.db'), {
    tls: await identity(authority.issue({ name: 'core', alternatives: ['DNS:core.example'] })),
  });
  const client = openTrunkClient(
    `127.0.0.1:${elsewhere.port}`,
    await identity(edgeFiles('edge-1')),
  );
  const call = client.control(new Metadata());
  const details = await new Promise<string>((resolve) => {
    call.on('error', (error: ServiceError) => resolve(error.details));
    call.on('data', () => resolve('welcome'));
  });
  client.close();
  await elsewhere.close();
  assert.match(details, /does not match|altname/i);
});

test('TLS 1.2 is not spoken unless it is allowed', async () => {
  const files = { ca: readFileSync(authority.ca), host: '127.0.0.1', port: core.port };
  const outcome = (maxVersion: 'TLSv1.2' | 'TLSv1.3') =>
    new Promise<string>((resolve) => {
      const socket = connect({ ...files, maxVersion, minVersion: 'TLSv1.2' }, () => {
        resolve(socket.getProtocol() ?? '');
        socket.destroy();
      });
      socket.on('error', (error) => resolve(error.message));
    });
  assert.match(await outcome('TLSv1.2'), /alert|version/i);
  assert.equal(await outcome('TLSv1.3'), 'TLSv1.3');
});

test('a certificate that changes is shown to those who come, and cuts nobody off', async () => {
  const parts = common();
  const first = authority.issue({ name: 'first' });
  const place = { ...first, cert: join(folder, 'live.pem'), key: join(folder, 'live.key') };
  copyFileSync(first.cert, place.cert);
  copyFileSync(first.key, place.key);
  const live = await identity({ cert: place.cert, key: place.key }, parts);
  const front = await openTestFront({ tls: live });
  const shown = () =>
    new Promise<string>((resolve, reject) => {
      const target = { host: '127.0.0.1', port: front.door.port, ALPNProtocols: ['h2'] };
      const socket = connect({ ...target, ca: readFileSync(authority.ca) }, () => {
        resolve(String(socket.getPeerCertificate().subject.CN));
        socket.destroy();
      }).on('error', reject);
    });
  const trusted = credentials.createSsl(readFileSync(authority.ca));
  const gateway = new GatewayServiceClient(front.address, trusted, {
    'grpc.ssl_target_name_override': 'localhost',
  });
  const publish = (n: number) =>
    new Promise<void>((resolve, reject) => {
      const sent = row('a/b', `${n}`);
      gateway.publish({ publication: sent }, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
  const subscription = gateway.subscribe({ subscriptions: [{ filter: 'a/#', qos: 1 }] });
  const received: string[] = [];
  subscription.on('error', () => {});
  subscription.on('data', ({ publications }) => {
    for (const { payload } of publications) received.push(String(payload));
  });
  try {
    await publish(1);
    assert.equal(await shown(), 'first');
    const second = authority.issue({ name: 'second' });
    copyFileSync(second.cert, place.cert);
    await live.look();
    assert.equal(await shown(), 'first', 'the key does not fit yet');
    copyFileSync(second.key, place.key);
    await live.look();
    assert.equal(await shown(), 'second');
    const { cert, key } = authority.issue({ name: 'over', isOver: true });
    copyFileSync(cert, place.cert);
    copyFileSync(key, place.key);
    await live.look();
    writeFileSync(place.cert, 'no certificate');
    await live.look();
    await live.look();
    assert.equal(await shown(), 'second');
    await publish(2);
    await until(() => received.length === 2, 'the stream that was open goes on');
    const metrics = parts.metrics.text();
    assert.match(metrics, /trunkline_tls_reloads_total\{section="trunk"\} 1$/m);
    assert.match(metrics, /trunkline_tls_reload_failures_total\{section="trunk"\} 3$/m);
    assert.match(metrics, /trunkline_tls_certificate_seconds\{section="trunk"\} 17\d{4}/);
  } finally {
    subscription.cancel();
    gateway.close();
    await front.close();
  }
});

test('files that are of no use stop the start with one sentence', async () => {
  const { cert } = authority.issue({ name: 'one' });
  const { key } = authority.issue({ name: 'two' });
  const refusal = (files: Partial<IssuedFiles>, message: RegExp) =>
    assert.rejects(identity(files), { code: 'tls-unreadable', message });
  await refusal(
    { cert, key },
    /trunk\.tls_cert = ".*", trunk\.tls_key = ".*" cannot be used: .*mismatch/,
  );
  await refusal({ cert }, /go together/);
  await refusal({ ca: '/nowhere.pem' }, /trunk\.tls_ca = "\/nowhere.pem" cannot be used: ENOENT/);
  await refusal({ ca: key }, /trunk\.tls_ca/);
  await refusal(authority.issue({ name: 'over', isOver: true }), /has ended on/);
});
