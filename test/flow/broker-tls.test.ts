/** MQTT over TLS, and over WebSocket with TLS. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { hasOpenssl, makeCertificate } from '../support/certificate.ts';
import { TestClient } from '../support/clients.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';

const skip = hasOpenssl ? false : 'openssl is not installed';
let folder = '';
let edge: LocalBroker | undefined;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trunkline-tls-'));
  if (!hasOpenssl) return;
  const tls = makeCertificate(folder);
  edge = await openLocalBroker({ tls, mqtts: { port: 0 }, wss: { port: 0 } });
});

after(async () => {
  await edge?.discard();
  await rm(folder, { recursive: true, force: true });
});

async function urls(): Promise<{ mqtts: string; wss: string; ca: Buffer }> {
  const ports = edge?.broker.ports;
  const ca = await readFile(join(folder, 'cert.pem'));
  const mqtts = `mqtts://127.0.0.1:${ports?.get('mqtts')}`;
  return { mqtts, wss: `wss://127.0.0.1:${ports?.get('wss')}/mqtt`, ca };
}

test('devices meet over TLS and over WebSocket with TLS', { skip }, async () => {
  const { mqtts, wss, ca } = await urls();
  const receiver = await TestClient.connect(wss, { ca });
  const sender = await TestClient.connect(mqtts, { ca });
  await receiver.subscribe('secure/#', 2);
  for (const qos of [0, 1, 2] as const) await sender.publish('secure/x', `${qos}`, { qos });
  const large = 'x'.repeat(500_000);
  await sender.publish('secure/large', large, { qos: 1 });
  await receiver.expect(4);
  assert.deepEqual(receiver.texts.toSorted(), ['0', '1', '2', large]);
  await Promise.all([receiver.end(), sender.end()]);
});

test('a client that does not trust the certificate is not connected', { skip }, async () => {
  const { mqtts } = await urls();
  await assert.rejects(TestClient.connect(mqtts), /self-signed|unable to verify/);
});

test('plain MQTT and garbage on the TLS port are survived', { skip }, async () => {
  const { mqtts, ca } = await urls();
  const socket = connect(Number(new URL(mqtts).port), '127.0.0.1');
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.resume().write(Buffer.from('\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0'));
  await closed;
  const client = await TestClient.connect(mqtts, { ca });
  await client.roundTrip();
  await client.end();
});

test('a certificate that cannot be read stops the start with a sentence', async () => {
  await assert.rejects(openLocalBroker({ tls: { cert: '/nowhere.pem', key: '/nowhere.key' } }), {
    code: 'tls-unreadable',
  });
});
