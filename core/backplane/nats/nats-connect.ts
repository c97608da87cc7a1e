/** Makes the connection to NATS, or says in a sentence why there is none. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  type NatsConnection,
  type NodeConnectionOptions,
  usernamePasswordAuthenticator,
} from '@nats-io/transport-node';
import { messageOf, systemCode, TrunklineError } from '../../../base/errors.ts';

const reconnectMs = 100;
const pingMs = 2_000;

export interface NatsLinkOptions {
  readonly servers: readonly string[];
  /** Told to the server, for its own lists. */
  readonly name: string;
  readonly credentials: string;
  readonly user: string;
  readonly password: string;
  readonly tlsCa: string;
  readonly tlsCert: string;
  readonly tlsKey: string;
}

/** Throws `unreachable`, `not-authorized` or `tls-unreadable`. */
export async function connected(options: NatsLinkOptions): Promise<NatsConnection> {
  const list = options.servers.join(', ');
  const settings: NodeConnectionOptions = {
    servers: options.servers.map((server) => server.replace(/^(nats|tls):\/\//, '')),
    name: options.name,
    maxReconnectAttempts: -1,
    reconnectTimeWait: reconnectMs,
    pingInterval: pingMs,
    maxPingOut: 2,
    ignoreAuthErrorAbort: true,
    timeout: 5_000,
    ...authentication(options),
    ...tls(options),
  };
  try {
    return await connect(settings);
  } catch (error) {
    const reason = messageOf(error);
    if (/authorization|authentication|permission/i.test(reason)) {
      const text = `NATS at ${list} refuses the credentials of this core (${reason}). Set nats.credentials, or nats.user and nats.password, to those of an account with JetStream.`;
      throw new TrunklineError('not-authorized', text, { cause: error });
    }
    const text = `NATS at ${list} cannot be reached: ${reason}. Check core.backplane, and that the server runs and is reachable from here.`;
    throw new TrunklineError('unreachable', text, { cause: error });
  }
}

function authentication(options: NatsLinkOptions): { authenticator?: Authenticator } {
  if (options.credentials !== '') {
    return { authenticator: credsAuthenticator(fileOf('nats.credentials', options.credentials)) };
  }
  if (options.user === '') return {};
  return { authenticator: usernamePasswordAuthenticator(options.user, options.password) };
}

function tls({
  servers,
  tlsCa,
  tlsCert,
  tlsKey,
}: NatsLinkOptions): Pick<NodeConnectionOptions, 'tls'> {
  const isAsked = servers.some((server) => server.startsWith('tls://'));
  if (!isAsked && tlsCa === '' && tlsCert === '') return {};
  const text = (setting: string, path: string) =>
    path === '' ? undefined : fileOf(setting, path).toString();
  const ca = text('nats.tls_ca', tlsCa);
  const cert = text('nats.tls_cert', tlsCert);
  const key = text('nats.tls_key', tlsKey);
  return {
    tls: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...byAddress(servers),
    },
  };
}

/** The client names no address to be checked where it is one of numbers: then Node would check for
 * `localhost`. */
function byAddress(servers: readonly string[]): Pick<ConnectionOptions, 'checkServerIdentity'> {
  const hosts = servers.map((server) => new URL(server.replace(/^nats:/, 'http:')).hostname);
  if (hosts.every((host) => isIP(host) === 0)) return {};
  return {
    checkServerIdentity: (host, certificate) => {
      const names = host === 'localhost' ? hosts : [host];
      const faults = names.map((name) => checkServerIdentity(name, certificate));
      return faults.includes(undefined) ? undefined : faults[0];
    },
  };
}

function fileOf(setting: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const text = `${setting}: the file ${path} cannot be read (${systemCode(error) ?? messageOf(error)}). Check the path and its permissions.`;
    throw new TrunklineError('tls-unreadable', text, { cause: error });
  }
}
