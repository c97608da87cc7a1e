/** An edge without a trunk, in this process: spool, broker, listeners on free ports. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { configSchema } from '../../base/config-schema.ts';
import { Ledger } from '../../base/ledger.ts';
import { createLog } from '../../base/log.ts';
import { Metrics } from '../../base/metrics.ts';
import type { Publication } from '../../base/publication.ts';
import { Spool } from '../../bridge/spool.ts';
import { type EnhancedAuthenticate, noEnhancedAuthenticate } from '../../broker/authenticate.ts';
import { DeviceBroker } from '../../broker/device-broker.ts';
import type { DeviceBrokerParts } from '../../broker/device-broker-parts.ts';

export interface LocalBroker {
  readonly broker: DeviceBroker;
  readonly spool: Spool;
  readonly ledger: Ledger;
  readonly metrics: Metrics;
  readonly port: number;
  readonly wsPort: number;
  readonly url: string;
  readonly data: string;
  /** Publications of QoS 0 that were offered to the trunk. */
  readonly offered: Publication[];
  /** What the session listener was told: "changed" or "removed", and the client identifier. */
  readonly heard: string[];
  close(): Promise<void>;
  /** Closes and removes its data. */
  discard(): Promise<void>;
}

type Settings = Record<string, Record<string, unknown>>;

export async function openLocalBroker(
  settings: Settings = {},
  data?: string,
  enhancedAuthenticate: EnhancedAuthenticate = noEnhancedAuthenticate,
  more: Pick<DeviceBrokerParts, 'rights' | 'authenticators'> = {},
): Promise<LocalBroker> {
  const folder = data ?? (await mkdtemp(join(tmpdir(), 'trunkline-broker-')));
  const config = configSchema.parse({
    mqtt: { port: 0 },
    ws: { port: 0 },
    ...settings,
    data: folder,
  });
  const log = createLog({ level: 'error', format: 'json', tier: 'test' });
  const metrics = new Metrics();
  const ledger = new Ledger(metrics);
  const clock = systemClock;
  const spool = await Spool.open(
    { log, metrics, clock },
    {
      directory: join(folder, 'edge', 'spool'),
      bytesMax: config.limits.spool_bytes,
      durability: config.edge.durability,
    },
  );
  const offered: Publication[] = [];
  const heard: string[] = [];
  const broker = await DeviceBroker.open(
    {
      log,
      metrics,
      ledger,
      clock,
      messageLog: spool,
      uplink: {
        wants: () => true,
        offer: (publication) => offered.push(publication),
        want: async () => null,
        unwant: () => {},
      },
      sessionListener: {
        sessionChanged: ({ clientId }) => heard.push(`changed ${clientId}`),
        sessionRemoved: (clientId) => heard.push(`removed ${clientId}`),
        sessionEvent: () => {},
      },
      enhancedAuthenticate,
      ...more,
    },
    config,
  );
  try {
    await broker.listen();
  } catch (error) {
    await broker.close();
    await spool.close();
    throw error;
  }
  const port = broker.ports.get('mqtt') ?? 0;
  const close = async () => {
    await broker.close();
    await spool.close();
  };
  return {
    broker,
    spool,
    ledger,
    metrics,
    port,
    wsPort: broker.ports.get('ws') ?? 0,
    url: `mqtt://127.0.0.1:${port}`,
    data: folder,
    offered,
    heard,
    close,
    discard: async () => {
      await close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
