/** Backplanes on NATS for tests: each world has streams of its own on one server. */
import { createLog } from '../../base/log.ts';
import { NatsBackplane } from '../../core/backplane/nats/nats-backplane.ts';
import type { NatsOptions } from '../../core/backplane/nats/nats-options.ts';
import { common } from './trunk-world.ts';

let worlds = 0;

export function natsOptions(
  servers: readonly string[],
  more: Partial<NatsOptions> = {},
): NatsOptions {
  return {
    servers,
    coreId: 'core-1',
    prefix: 'tl1',
    replicas: 0,
    logBytes: 1e9,
    logSeconds: 3_600,
    credentials: '',
    nkey: '',
    token: '',
    user: '',
    password: '',
    tlsCa: '',
    tlsCert: '',
    tlsKey: '',
    ...more,
  };
}

/** Names that no other world of the file has. */
export function newPrefix(): string {
  worlds++;
  return `test${worlds}`;
}

export function openNats(options: NatsOptions): Promise<NatsBackplane> {
  const level = process.env['NATS_TEST_LOG'] === undefined ? 'silent' : 'debug';
  const log = createLog({ level, format: 'json', tier: 'test' });
  return NatsBackplane.open({ ...common(), log }, options);
}
