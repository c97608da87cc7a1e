/**
 * The parts of an edge, joined: the spool, the bridge to a core, and the broker for devices. Alone in
 * its process, or one of the workers of a machine.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../base/config.ts';
import { Ledger } from '../base/ledger.ts';
import type { Readiness } from '../base/status-server.ts';
import { setTlsFloor } from '../base/tls/tls-floor.ts';
import { systemAuthorities, TlsIdentity } from '../base/tls/tls-identity.ts';
import { Bridge } from '../bridge/bridge.ts';
import { ForeignBridges } from '../bridge/foreign/foreign-bridges.ts';
import { RegistryReplica } from '../bridge/registry/registry-replica.ts';
import { EdgeRules } from '../bridge/rules/edge-rules.ts';
import { Spool } from '../bridge/spool.ts';
import { DeviceBroker } from '../broker/device-broker.ts';
import type { OpenDoors } from '../broker/listeners.ts';
import type { ForeignStats } from '../proto/gen/trunkline/v1/trunk.ts';
import type { TierParts } from './tier.ts';
import { softwareVersion } from './version.ts';

export interface EdgeStackParts extends TierParts {
  /** Names clients that leave it to the server. */
  readonly assignClientId?: () => string;
}

export class EdgeStack {
  readonly #opened: { close(): Promise<void> }[];
  readonly #bridge: Bridge;
  readonly #broker: DeviceBroker;
  readonly #given: { readonly parts: EdgeStackParts; readonly config: Config };
  #foreign: ForeignBridges | null = null;
  #isListening = false;

  private constructor(
    opened: { close(): Promise<void> }[],
    joined: { bridge: Bridge; broker: DeviceBroker },
    given: { readonly parts: EdgeStackParts; readonly config: Config },
  ) {
    this.#given = given;
    this.#opened = opened;
    this.#bridge = joined.bridge;
    this.#broker = joined.broker;
  }

  /** Recovers what is on disk. Nobody is let in, and nothing goes out, until `serve`. */
  static async open(parts: EdgeStackParts, config: Config): Promise<EdgeStack> {
    const ledger = new Ledger(parts.metrics);
    const opened: { close(): Promise<void> }[] = [];
    try {
      const rules = await openRules(parts, join(config.data, 'edge'));
      const { lanes } = config.edge;
      const spool = await Spool.open(parts, {
        laneMap: rules.laneMap(lanes),
        directory: join(config.data, 'edge', 'spool'),
        bytesMax: config.limits.spool_bytes,
        durability: config.edge.durability,
        commit: { lingerMs: config.edge.commit_ms, bytesMax: config.edge.commit_bytes },
        retain: { seconds: config.edge.retain_seconds, bytes: config.edge.retain_bytes },
      });
      opened.push(spool);
      rules.onChanged(() => spool.applyLaneMap(rules.laneMap(lanes)));
      const tls = await trunkIdentity(parts, config);
      if (tls !== null) opened.push(tls);
      const bridge = new Bridge(
        { ...parts, ledger, spool: spool.uplink, rules },
        {
          edgeId: config.edge.id,
          region: config.edge.region,
          cores: config.edge.cores,
          probeEveryMs: config.edge.probe_seconds * 1_000,
          canaryMs: config.trunk.canary_seconds * 1_000,
          replayRate: config.edge.replay_rate,
          compresses: config.edge.compression === 'auto',
          token: config.trunk.token,
          tls,
          softwareVersion: softwareVersion(),
        },
      );
      opened.push(bridge);
      const known = await openRegistry(parts, config, tls);
      if (known !== null) opened.push(known);
      const ports = { messageLog: spool, uplink: bridge, sessionListener: bridge };
      const broker = await DeviceBroker.open(
        { ...parts, ...ports, ledger, ...(known === null ? {} : { knownDevices: known }) },
        config,
      );
      opened.push(broker);
      return new EdgeStack(opened, { bridge, broker }, { parts, config });
    } catch (error) {
      await closeAll(opened);
      throw error;
    }
  }

  /** Connects to a core and lets devices in. Throws what opening the doors throws. */
  async serve(openDoors?: OpenDoors): Promise<void> {
    this.#bridge.start(this.#broker.localDelivery, () => this.foreign);
    const { config, parts } = this.#given;
    this.#foreign = await ForeignBridges.open(
      { ...parts, door: this.#broker.innerDoor },
      {
        edgeId: config.edge.id,
        foreign: config.edge.foreign,
        packetBytesMax: config.limits.packet_bytes,
      },
    );
    this.#opened.push(this.#foreign);
    await this.#broker.listen(openDoors);
    this.#isListening = true;
  }

  get ports(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#broker.ports);
  }

  /** An edge serves its devices without a core, too: that is a reason to look, not to send them off. */
  readiness(): Readiness {
    const reasons: string[] = [];
    if (!this.#isListening) reasons.push('the listeners are not open yet');
    if (!this.#bridge.isConnected) {
      reasons.push('no core in reach: messages for elsewhere wait in the spool');
    }
    const { lanesUnproven } = this.#bridge.status();
    if (lanesUnproven.length > 0) {
      const lanes = lanesUnproven.join(', ');
      reasons.push(`no canary came back for too long on trunk lanes ${lanes}`);
    }
    return { ready: this.#isListening, reasons };
  }

  /** Bridges to brokers of another make, for the operators. */
  get foreign(): readonly ForeignStats[] {
    return this.#foreign?.stats() ?? [];
  }

  close(): Promise<void> {
    return closeAll(this.#opened);
  }
}

function openRegistry(
  parts: EdgeStackParts,
  config: Config,
  tls: TlsIdentity | null,
): Promise<RegistryReplica | null> {
  if (!config.auth.registry) return Promise.resolve(null);
  return RegistryReplica.open(parts, {
    file: join(config.data, 'edge', 'devices.db'),
    cores: config.edge.cores,
    token: config.trunk.token,
    tls,
  });
}

async function openRules(parts: EdgeStackParts, folder: string): Promise<EdgeRules> {
  await mkdir(folder, { recursive: true });
  return EdgeRules.open(parts, join(folder, 'rules.json'));
}

async function closeAll(opened: { close(): Promise<void> }[]): Promise<void> {
  for (const part of opened.splice(0).reverse()) await part.close();
}

/** What the edge shows its cores, and by whom it checks theirs. Throws `tls-unreadable`. */
async function trunkIdentity(parts: EdgeStackParts, config: Config): Promise<TlsIdentity | null> {
  setTlsFloor(config);
  const { tls_ca: ca, tls_cert: cert, tls_key: key } = config.trunk;
  if (ca === '' && cert === '' && key === '') return null;
  return await TlsIdentity.open(parts, {
    ...{ section: 'trunk', prefix: 'trunk.tls_', cert, key },
    ca: ca === '' ? systemAuthorities : ca,
  });
}
