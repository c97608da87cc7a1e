/** Makes the connection to NATS, or says in a sentence why there is none. */
import { isIP } from 'node:net';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import { connect, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node';
import { messageOf, TrunklineError } from '../../../base/errors.ts';
import { authenticatorOf, type NatsIdentity, natsFile } from './nats-authentication.ts';

const reconnectMs = 100;
const pingMs = 2_000;

export interface NatsLinkOptions extends NatsIdentity {
  readonly servers: readonly string[];
  /** Told to the server, for its own lists. */
  readonly name: string;
  readonly tlsCa: string;
  readonly tlsCert: string;
  readonly tlsKey: string;
}

/** Throws `unreachable`, `not-authorized`, `config-invalid` or `tls-unreadable`. */
export async function connected(options: NatsLinkOptions): Promise<NatsConnection> {
  const list = options.servers.join(', ');
  const authenticator = authenticatorOf(options);
  const settings: NodeConnectionOptions = {
    servers: options.servers.map((server) => server.replace(/^(nats|tls):\/\//, '')),
    name: options.name,
    maxReconnectAttempts: -1,
    reconnectTimeWait: reconnectMs,
    pingInterval: pingMs,
    maxPingOut: 2,
    ignoreAuthErrorAbort: true,
    timeout: 5_000,
    ...(authenticator === null ? {} : { authenticator }),
    ...tls(options),
  };
  try {
    return await connect(settings);
  } catch (error) {
    const reason = messageOf(error);
    if (/authorization|authentication|permission/i.test(reason)) {
      const text = `NATS at ${list} refuses the credentials of this core (${reason}). Set nats.credentials, nats.nkey, nats.token, or nats.user and nats.password, to those of an account with JetStream.`;
      throw new TrunklineError('not-authorized', text, { cause: error });
    }
    const isGuarded = 'tls' in settings || /certificate|self.signed|tls|ssl/i.test(reason);
    const certificates = isGuarded
      ? ', and nats.tls_ca, nats.tls_cert and nats.tls_key, which have to be what it asks for'
      : '';
    const text = `NATS at ${list} cannot be reached: ${reason}. Check core.backplane, that the server runs and is reachable from here${certificates}.`;
    throw new TrunklineError('unreachable', text, { cause: error });
  }
}

function tls({
  servers,
  tlsCa,
  tlsCert,
  tlsKey,
}: NatsLinkOptions): Pick<NodeConnectionOptions, 'tls'> {
  const isAsked = servers.some((server) => server.startsWith('tls://'));
  if (!isAsked && tlsCa === '' && tlsCert === '') return {};
  if ((tlsCert === '') !== (tlsKey === '')) {
    const sentence =
      'Of nats.tls_cert and nats.tls_key one is set. Set both, or neither for a core without a certificate.';
    throw new TrunklineError('config-invalid', sentence);
  }
  const text = (setting: string, path: string) =>
    path === '' ? undefined : natsFile(setting, path).toString();
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
