/** An edge with a spool on disk and a bridge; the broker is a list of what was delivered. */
import type { Publication } from '../../base/publication.ts';
import { Bridge } from '../../bridge/bridge.ts';
import { createLaneMap } from '../../bridge/lane-map.ts';
import type { Downlinked, LocalDelivery } from '../../bridge/ports.ts';
import { EdgeRules } from '../../bridge/rules/edge-rules.ts';
import { Spool } from '../../bridge/spool.ts';
import { common, publication } from './trunk-world.ts';

export interface SpooledEdgeOptions {
  readonly directory: string;
  readonly id: string;
  /** Where it finds the core. */
  readonly port: number;
  readonly lanes?: number;
  /** What it wants from the core. */
  readonly filters?: readonly string[];
}

export class SpooledEdge implements LocalDelivery {
  readonly parts = common();
  readonly bridge: Bridge;
  readonly spool: Spool;
  /** Texts of each topic, in the order of delivery. */
  readonly received = new Map<string, string[]>();
  count = 0;
  readonly #filters: readonly string[];

  private constructor(spool: Spool, options: SpooledEdgeOptions) {
    this.spool = spool;
    this.#filters = options.filters ?? [];
    this.bridge = new Bridge(
      { ...this.parts, spool: spool.uplink, rules: new EdgeRules(this.parts) },
      {
        edgeId: options.id,
        region: 'here',
        cores: [`127.0.0.1:${options.port}`],
        token: '',
        softwareVersion: 'test',
      },
    );
  }

  /** Connects, and goes on doing so. */
  static async open(options: SpooledEdgeOptions): Promise<SpooledEdge> {
    const { directory, lanes = 4 } = options;
    const retain = { seconds: 600, bytes: 1 << 28 };
    const laneMap = createLaneMap(lanes);
    const spool = await Spool.open(common(), { directory, bytesMax: 1 << 30, laneMap, retain });
    const edge = new SpooledEdge(spool, options);
    edge.bridge.start(edge);
    return edge;
  }

  /** As from a device; it is durable some time later. */
  accept(topic: string, text: string): void {
    const source = { kind: 'device' } as const;
    const one: Publication = publication(topic, text);
    const rest = { source, clientId: '', packetId: 0 };
    this.spool.append({ kind: 'publication', publication: one, ...rest });
  }

  /** Resolves later for more, as a broker's does that writes to the disk. */
  async deliver(_from: unknown, items: readonly Downlinked[]): Promise<void> {
    for (const { publication: one } of items) {
      const texts = this.received.get(one.topic);
      if (texts === undefined) this.received.set(one.topic, [one.payload.toString()]);
      else texts.push(one.payload.toString());
    }
    await new Promise((resolve) => setImmediate(resolve));
    this.count += items.length;
  }

  wantedFilters(): Iterable<string> {
    return this.#filters;
  }

  beginRetainedSync() {
    return () => {};
  }

  sessions() {
    return [];
  }

  stats() {
    const none = { receivedMessages: 0, deliveredMessages: 0, droppedMessages: 0 };
    return { ...none, connectedSessions: 0, startedAtMs: 1 };
  }

  async close(): Promise<void> {
    await this.bridge.close();
    await this.spool.close();
  }
}
