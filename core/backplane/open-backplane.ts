/** The backplane that the configuration asks for. */
import { join } from 'node:path';
import type { Config } from '../../base/config.ts';
import type { Backplane } from './backplane.ts';
import { EmbeddedBackplane, type EmbeddedParts } from './embedded.ts';
import { NatsBackplane } from './nats/nats-backplane.ts';

/** Throws a `TrunklineError` that says what stands in the way. The folder of the core must be there. */
export async function openBackplane(parts: EmbeddedParts, config: Config): Promise<Backplane> {
  const { core, limits, nats } = config;
  if (core.backplane.length === 1 && core.backplane[0] === 'embedded') {
    return EmbeddedBackplane.open(parts, { file: join(config.data, 'core', 'log.db') });
  }
  return NatsBackplane.open(parts, {
    servers: core.backplane,
    coreId: core.id,
    credentials: nats.credentials,
    nkey: nats.nkey,
    token: nats.token,
    user: nats.user,
    password: nats.password,
    tlsCa: nats.tls_ca,
    tlsCert: nats.tls_cert,
    tlsKey: nats.tls_key,
    prefix: nats.prefix,
    replicas: nats.replicas,
    logBytes: limits.log_bytes,
    logSeconds: limits.log_seconds,
  });
}
