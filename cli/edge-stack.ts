/**
 * The parts of an edge, joined: the spool, the bridge to a core, and the broker for devices. Alone in
 * its process, or one of the workers of a machine.
 */
import { join } from 'node:path';
import type { Config } from '../base/config.ts';
import { Ledger } from '../base/ledger.ts';
import type { Readiness } from '../base/status-server.ts';
import { Bridge } from '../bridge/bridge.ts';
import { Spool } from '../bridge/spool.ts';
import { DeviceBroker } from '../broker/device-broker.ts';
import type { OpenDoors } from '../broker/listeners.ts';
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
  #isListening = false;

  private constructor(
    opened: { close(): Promise<void> }[],
    joined: { bridge: Bridge; broker: DeviceBroker },
  ) {
    this.#opened = opened;
    this.#bridge = joined.bridge;
    this.#broker = joined.broker;
  }

  /** Recovers what is on disk. Nobody is let in, and nothing goes out, until `serve`. */
  static async open(parts: EdgeStackParts, config: Config): Promise<EdgeStack> {
    const ledger = new Ledger(parts.metrics);
    const opened: { close(): Promise<void> }[] = [];
    try {
      const spool = await Spool.open(parts, {
        directory: join(config.data, 'edge', 'spool'),
        bytesMax: config.limits.spool_bytes,
        durability: config.edge.durability,
        commit: { lingerMs: config.edge.commit_ms, bytesMax: config.edge.commit_bytes },
      });
      opened.push(spool);
      const bridge = new Bridge(
        { ...parts, ledger, spool: spool.uplink },
        {
          edgeId: config.edge.id,
          region: config.edge.region,
          cores: config.edge.cores,
          token: config.trunk.token,
          softwareVersion: softwareVersion(),
        },
      );
      opened.push(bridge);
      const broker = await DeviceBroker.open(
        { ...parts, ledger, messageLog: spool, uplink: bridge, sessionListener: bridge },
        config,
      );
      opened.push(broker);
      return new EdgeStack(opened, { bridge, broker });
    } catch (error) {
      await closeAll(opened);
      throw error;
    }
  }

  /** Connects to a core and lets devices in. Throws what opening the doors throws. */
  async serve(openDoors?: OpenDoors): Promise<void> {
    this.#bridge.start(this.#broker.localDelivery);
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
    return { ready: this.#isListening, reasons };
  }

  close(): Promise<void> {
    return closeAll(this.#opened);
  }
}

async function closeAll(opened: { close(): Promise<void> }[]): Promise<void> {
  for (const part of opened.splice(0).reverse()) await part.close();
}
