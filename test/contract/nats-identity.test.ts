/**
 * A core proves who it is to NATS in each of the ways that servers know, and says in a sentence what is
 * wrong when a server will not have it.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { nkeys } from '@nats-io/transport-node';
import type { NatsOptions } from '../../core/backplane/nats/nats-options.ts';
import { makeCertificate } from '../support/certificate.ts';
import { natsAccount } from '../support/nats-accounts.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { natsOptions, openNats } from '../support/nats-world.ts';
import { temporaryFolder } from '../support/processes.ts';

const jetstream = 'jetstream { store_dir: "FOLDER" }';

function fileOf(text: string): string {
  const file = join(temporaryFolder(), 'secret');
  writeFileSync(file, text);
  return file;
}

async function served(
  settings: string,
  work: (open: (more?: Partial<NatsOptions>) => Promise<void>, server: NatsServer) => Promise<void>,
): Promise<void> {
  const server = await startNats(settings);
  const open = async (more: Partial<NatsOptions> = {}) => {
    const log = await openNats(natsOptions([server.url], more));
    await log.start(() => []);
    await log.close();
  };
  try {
    await work(open, server);
  } finally {
    await server.kill();
  }
}

test("a file with credentials of an account lets a core in, and another account's does not", async () => {
  const { credentials, settings } = natsAccount();
  await served(settings, async (open) => {
    await open({ credentials: fileOf(credentials) });
    const stranger = open({ credentials: fileOf(natsAccount().credentials) });
    await assert.rejects(stranger, { code: 'not-authorized', message: /nats\.credentials/ });
    await assert.rejects(open({ credentials: '/nowhere.creds' }), {
      code: 'tls-unreadable',
      message: /nats\.credentials: the file \/nowhere\.creds cannot be read/,
    });
  });
});

test('the seed of an nkey lets a core in, and another one does not', async () => {
  const user = nkeys.createUser();
  const seedOf = (keys: typeof user) => fileOf(`# a user\n${Buffer.from(keys.getSeed())}\n`);
  const users = `authorization { users: [ { nkey: ${user.getPublicKey()} } ] }`;
  await served(`${jetstream}\n${users}`, async (open) => {
    await open({ nkey: seedOf(user) });
    await assert.rejects(open({ nkey: seedOf(nkeys.createUser()) }), { code: 'not-authorized' });
    await assert.rejects(open({ nkey: fileOf('nothing') }), {
      code: 'config-invalid',
      message: /nats\.nkey: .*holds no seed/,
    });
  });
});

test('a token lets a core in, another one does not, and two ways at once are refused', async () => {
  await served(`${jetstream}\nauthorization { token: "t0ken" }`, async (open) => {
    await open({ token: 't0ken' });
    await assert.rejects(open({ token: 'other' }), { code: 'not-authorized' });
    await assert.rejects(open({ token: 't0ken', user: 'u' }), {
      code: 'config-invalid',
      message: /^nats\.token and nats\.user are both set/,
    });
  });
});

test('a server that asks for a certificate lets in a core that has one, and no other', async () => {
  const own = makeCertificate(temporaryFolder());
  const tls = `tls { cert_file: "${own.cert}", key_file: "${own.key}", ca_file: "${own.cert}", verify: true }`;
  await served(`${jetstream}\n${tls}`, async (open) => {
    await open({ tlsCa: own.cert, tlsCert: own.cert, tlsKey: own.key });
    await assert.rejects(open({ tlsCa: own.cert }), {
      code: 'unreachable',
      message: /nats\.tls_cert/,
    });
    const other = makeCertificate(temporaryFolder());
    await assert.rejects(open({ tlsCa: own.cert, tlsCert: other.cert, tlsKey: other.key }), {
      code: 'unreachable',
    });
    await assert.rejects(open({ tlsCa: own.cert, tlsCert: own.cert }), {
      code: 'config-invalid',
      message: /nats\.tls_cert and nats\.tls_key/,
    });
  });
});
