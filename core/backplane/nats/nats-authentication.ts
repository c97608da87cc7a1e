/** Who a core is at NATS: by one of the ways that servers know, or by its certificate alone. */
import { readFileSync } from 'node:fs';
import {
  type Authenticator,
  credsAuthenticator,
  nkeyAuthenticator,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import { messageOf, systemCode, TrunklineError } from '../../../base/errors.ts';

export interface NatsIdentity {
  /** Files. */
  readonly credentials: string;
  readonly nkey: string;
  readonly token: string;
  readonly user: string;
  readonly password: string;
}

/** Null when none is given. Throws `config-invalid` for more than one, or `tls-unreadable`. */
export function authenticatorOf(identity: NatsIdentity): Authenticator | null {
  const ways = (['credentials', 'nkey', 'token', 'user'] as const).filter(
    (way) => identity[way] !== '',
  );
  if (ways.length > 1) {
    const given = ways.map((way) => `nats.${way}`).join(' and ');
    const text = `${given} are both set, and a core is one user at NATS. Leave one of them.`;
    throw new TrunklineError('config-invalid', text);
  }
  switch (ways[0]) {
    case 'credentials':
      return credsAuthenticator(natsFile('nats.credentials', identity.credentials));
    case 'nkey':
      return nkeyAuthenticator(seedOf(natsFile('nats.nkey', identity.nkey), identity.nkey));
    case 'token':
      return tokenAuthenticator(identity.token);
    case 'user':
      return usernamePasswordAuthenticator(identity.user, identity.password);
    default:
      return null;
  }
}

/** The first line that is one: tools write comments and blank lines around it. */
function seedOf(file: Buffer, path: string): Buffer {
  const seed = /^SU[A-Z2-7]{56}$/m.exec(file.toString())?.[0];
  if (seed !== undefined) return Buffer.from(seed);
  const text = `nats.nkey: the file ${path} holds no seed of a user, which begins with SU. Give the file that \`nk -gen user\` wrote.`;
  throw new TrunklineError('config-invalid', text);
}

/** Throws `tls-unreadable`. */
export function natsFile(setting: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const text = `${setting}: the file ${path} cannot be read (${systemCode(error) ?? messageOf(error)}). Check the path and its permissions.`;
    throw new TrunklineError('tls-unreadable', text, { cause: error });
  }
}
