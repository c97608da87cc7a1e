/**
 * An operator, an account with JetStream and a user of it, signed as NATS has them: what a server's
 * configuration and a .creds file hold.
 */
import { createHash } from 'node:crypto';
import { nkeys } from '@nats-io/transport-node';

const { createAccount, createOperator, createUser } = nkeys;

type Keys = ReturnType<typeof createUser>;

const base64 = (bytes: string | Uint8Array) => Buffer.from(bytes).toString('base64url');

function signed(by: Keys, subject: Keys, nats: object): string {
  const claims = {
    jti: createHash('sha256').update(JSON.stringify(nats)).digest('hex'),
    iat: Math.floor(Date.now() / 1_000),
    iss: by.getPublicKey(),
    name: 'test',
    sub: subject.getPublicKey(),
    nats: { version: 2, ...nats },
  };
  const head = base64(JSON.stringify({ typ: 'JWT', alg: 'ed25519-nkey' }));
  const signedPart = `${head}.${base64(JSON.stringify(claims))}`;
  return `${signedPart}.${base64(by.sign(Buffer.from(signedPart)))}`;
}

const unlimited = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, conn: -1, leaf: -1 };
const storage = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };

/** The server's settings, and the text of the user's file. */
export function natsAccount(): { settings: string; credentials: string } {
  const [operator, account, user] = [createOperator(), createAccount(), createUser()];
  const system = createAccount();
  const operatorToken = signed(operator, operator, { type: 'operator' });
  const limits = { ...unlimited, ...storage, wildcards: true };
  const accountToken = signed(operator, account, { type: 'account', limits });
  const systemToken = signed(operator, system, { type: 'account', limits: unlimited });
  const userToken = signed(account, user, { type: 'user', subs: -1, data: -1, payload: -1 });
  const seed = Buffer.from(user.getSeed()).toString();
  return {
    settings: [
      'jetstream { store_dir: "FOLDER" }',
      `operator: ${operatorToken}`,
      'resolver: MEMORY',
      `system_account: ${system.getPublicKey()}`,
      'resolver_preload: {',
      `  ${account.getPublicKey()}: ${accountToken}`,
      `  ${system.getPublicKey()}: ${systemToken}`,
      '}',
    ].join('\n'),
    credentials: [
      '-----BEGIN NATS USER JWT-----',
      userToken,
      '------END NATS USER JWT------',
      '',
      '-----BEGIN USER NKEY SEED-----',
      seed,
      '------END USER NKEY SEED------',
      '',
    ].join('\n'),
  };
}
