/** All bridges of an edge to brokers of another make. */

import type { Clock } from '../../base/clock.ts';
import { TrunklineError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Metrics } from '../../base/metrics.ts';
import type { ForeignStats } from '../../proto/gen/trunkline/v1/trunk.ts';
import type { LocalDoor } from '../ports.ts';
import { ForeignBridge } from './foreign-bridge.ts';
import { ForeignCounters } from './foreign-counters.ts';
import type { ForeignSettings } from './settings.ts';

export interface ForeignBridgesParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly door: LocalDoor;
}

export interface ForeignBridgesOptions {
  readonly edgeId: string;
  readonly foreign: readonly ForeignSettings[];
  readonly packetBytesMax: number;
}

interface Opened {
  readonly bridge: ForeignBridge;
  readonly counters: ForeignCounters;
}

export class ForeignBridges {
  readonly #parts: ForeignBridgesParts;
  readonly #bridges: readonly Opened[];

  private constructor(parts: ForeignBridgesParts, bridges: readonly Opened[]) {
    this.#parts = parts;
    this.#bridges = bridges;
  }

  /** Every session here gathers when it resolves; the other brokers are connected as they can be
   * reached. Throws `config-invalid` for two of one name. */
  static async open(
    parts: ForeignBridgesParts,
    options: ForeignBridgesOptions,
  ): Promise<ForeignBridges> {
    const { edgeId, packetBytesMax } = options;
    const names = new Set<string>();
    const bridges = options.foreign.map((settings) => {
      const { name } = settings;
      if (names.has(name)) {
        throw new TrunklineError(
          'config-invalid',
          `Configuration: edge.foreign has two bridges named ${name}; give each a name of its own.`,
        );
      }
      names.add(name);
      const counters = new ForeignCounters(parts.metrics, name);
      const bridge = new ForeignBridge(
        { ...parts, counters },
        { edgeId, settings, packetBytesMax },
      );
      parts.metrics.gauge(
        'trunkline_foreign_up',
        '1 while the foreign broker is connected, by bridge.',
        () => (bridge.isConnected ? 1 : 0),
        { bridge: name },
      );
      return { bridge, counters };
    });
    const all = new ForeignBridges(parts, bridges);
    try {
      for (const { bridge } of bridges) await bridge.start();
    } catch (error) {
      await all.close();
      throw error;
    }
    return all;
  }

  stats(): ForeignStats[] {
    return this.#bridges.map(({ bridge, counters }) => ({
      name: bridge.name,
      connected: bridge.isConnected,
      sentMessages: counters.sent.value,
      receivedMessages: counters.received.value,
      backlogMessages: this.#parts.door.queuedOf(bridge.clientId),
      reason: bridge.reason,
    }));
  }

  async close(): Promise<void> {
    await Promise.all(this.#bridges.map(({ bridge }) => bridge.close()));
  }
}
