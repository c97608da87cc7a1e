/** The whole of it with TLS at every door: devices, trunk, gateways, operators. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync } from 'node:fs';
import { get } from 'node:https';
import { join } from 'node:path';
import { test } from 'node:test';
import { credentials, Metadata } from '@grpc/grpc-js';
import { GatewayServiceClient } from '../../proto/gen/trunkline/v1/gateway.ts';
import { TestAuthority } from '../support/authority.ts';
import { TestClient } from '../support/clients.ts';
import { Inbox } from '../support/front.ts';
import { runCommand, startProcess, temporaryFolder } from '../support/processes.ts';
import { until } from '../support/until.ts';

const folder = temporaryFolder();
const authority = new TestAuthority(folder);

test('up speaks TLS at every door, and takes new certificates into use while it runs', async () => {
  const live = { cert: join(folder, 'live.pem'), key: join(folder, 'live.key') };
  const put = (name: string) => {
    const made = authority.issue({
      name,
      alternatives: ['IP:127.0.0.1', 'DNS:localhost', 'URI:trunkline://edge/e'],
    });
    copyFileSync(made.key, live.key);
    copyFileSync(made.cert, live.cert);
  };
  put('first');
  const files = (section: string, prefix = 'tls-') => [
    ...[`--${section}-${prefix}cert`, live.cert, `--${section}-${prefix}key`, live.key],
  ];
  const up = await startProcess('up', {
    flags: [
      ...['--edge-id', 'e', '--trunk-tls-ca', authority.ca, '--gateway-token', 'gate'],
      ...['--auth-registry', '--http-token', 'see', '--tls-cert', live.cert, '--tls-key', live.key],
      ...[...files('trunk'), ...files('gateway'), ...files('http')],
    ],
  });
  const ca = readFileSync(authority.ca);
  const metadata = new Metadata();
  metadata.set('authorization', 'Bearer gate');
  const address = `127.0.0.1:${up.port('gateway')}`;
  const gateway = new GatewayServiceClient(address, credentials.createSsl(ca), {
    // An address is no name of a server.
    'grpc.ssl_target_name_override': 'localhost',
  });
  const subscriptions = [{ filter: 'a/#', qos: 1 }];
  const inbox = new Inbox(gateway.subscribe({ subscriptions }, metadata));
  const trusting = { env: { NODE_EXTRA_CA_CERTS: authority.ca } };
  const door = ['--core', `https://${address}`, '--token', 'see'];
  const made = await runCommand(['registry', 'create', 'pump', ...door], trusting);
  assert.equal(made.code, 0, made.stderr);
  const password = /"secret": ?"([^"]+)"/.exec(made.stdout)?.[1] ?? '';
  const who = { ca, clientId: 'pump', username: 'pump', password };
  const device = await connected(`mqtts://127.0.0.1:${up.port('mqtts')}`, who);
  try {
    await device.publish('a/b', 'over five connections', { qos: 1, retain: true });
    const { publications } = await inbox.next();
    assert.equal(String(publications[0]?.payload), 'over five connections');

    const list = ['sessions', 'list', '--http', `https://127.0.0.1:${up.port('http')}`];
    const seen = await runCommand([...list, '--token', 'see', '--json'], trusting);
    assert.equal(seen.code, 0, seen.stderr);
    const doubting = await runCommand([...list, '--token', 'see']);
    assert.match(doubting.stderr, /certificate of https:.* is not trusted.*NODE_EXTRA_CA_CERTS/);

    put('second');
    process.kill(up.pid, 'SIGHUP');
    for (const name of ['http', 'mqtts', 'wss'] as const) {
      await until(async () => (await shownAt(up.port(name), ca)) === 'second', name);
    }
    await device.publish('a/b', 'as before', { qos: 1 });
    assert.equal(String((await inbox.next()).publications[0]?.payload), 'as before');
  } finally {
    await device.end();
    gateway.close();
    const { code } = await up.stop();
    assert.equal(code, 0);
  }
});

/** The edge hears of a new device a moment later. */
async function connected(url: string, options: object): Promise<TestClient> {
  let client: TestClient | null = null;
  await until(async () => {
    client = await TestClient.connect(url, options).catch(() => null);
    return client !== null;
  }, 'the device is known');
  return client as unknown as TestClient;
}

function shownAt(port: number, ca: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const call = get({ host: '127.0.0.1', port, ca, agent: false, path: '/healthz' });
    call.on('socket', (socket) => {
      socket.once('secureConnect', () => {
        const { subject } = (socket as import('node:tls').TLSSocket).getPeerCertificate();
        resolve(String(subject.CN));
        call.destroy();
      });
    });
    call.on('error', () => resolve(''));
  });
}
