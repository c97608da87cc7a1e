/**
 * A core's trunk and edges for tests: a real door, log and bridges over real sockets; the broker
 * is a list of what was delivered, the spool lives in memory.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { Ledger } from '../../base/ledger.ts';
import { createLog } from '../../base/log.ts';
import { Metrics } from '../../base/metrics.ts';
import type { Publication, Qos } from '../../base/publication.ts';
import { Bridge } from '../../bridge/bridge.ts';
import type { BridgeOptions } from '../../bridge/bridge-options.ts';
import type { Confirmed, Downlinked, LocalDelivery } from '../../bridge/ports.ts';
import { EdgeRules } from '../../bridge/rules/edge-rules.ts';
import { EmbeddedBackplane } from '../../core/backplane/embedded.ts';
import { FanOut } from '../../core/fanout/fan-out.ts';
import { AttachedEdges } from '../../core/trunk/attached-edges.ts';
import { Drain } from '../../core/trunk/drain.ts';
import { TrunkDoor } from '../../core/trunk/trunk-door.ts';
import type { TrunkDoorOptions } from '../../core/trunk/trunk-door-parts.ts';
import type { Session } from '../../proto/gen/trunkline/v1/session.ts';
import { FakeSpool } from './fake-spool.ts';

export function common() {
  const metrics = new Metrics();
  const log = createLog({ level: 'silent', format: 'json', tier: 'test' });
  return { log, metrics, ledger: new Ledger(metrics), clock: systemClock };
}

export function publication(
  topic: string,
  payload: string,
  options: { qos?: Qos; retain?: boolean; origin?: string } = {},
): Publication {
  return {
    topic,
    payload: Buffer.from(payload),
    qos: options.qos ?? 1,
    retain: options.retain ?? false,
    properties: null,
    acceptedAt: Date.now(),
    origin: options.origin ?? '',
  };
}

/** Writes down what the core is told of edges and sessions. */
export class SinkLog {
  readonly events: string[] = [];
  readonly sessions = new Map<string, Set<string>>();
  edgeAttached(hello: { edgeId: string }): void {
    this.events.push(`attached ${hello.edgeId}`);
    this.sessions.set(hello.edgeId, new Set());
  }
  edgeDetached(edgeId: string): void {
    this.events.push(`detached ${edgeId}`);
  }
  edgeStats(edgeId: string): void {
    this.events.push(`stats ${edgeId}`);
  }
  edgeInterest(edgeId: string, filterCount: number): void {
    this.events.push(`interest ${edgeId} ${filterCount}`);
  }
  snapshotBegin(edgeId: string): void {
    this.events.push(`begin ${edgeId}`);
  }
  snapshotEnd(edgeId: string): void {
    this.events.push(`end ${edgeId}`);
  }
  upsert(edgeId: string, sessions: readonly Session[]): void {
    for (const { clientId } of sessions) this.sessions.get(edgeId)?.add(clientId);
  }
  remove(edgeId: string, clientIds: readonly string[]): void {
    for (const clientId of clientIds) this.sessions.get(edgeId)?.delete(clientId);
  }
  happened(): void {}
}

export class TestCore {
  readonly parts = common();
  readonly sink = new SinkLog();
  readonly edges: AttachedEdges;
  readonly backplane: EmbeddedBackplane;
  readonly fanout: FanOut;
  readonly door: TrunkDoor;
  readonly drain: Drain;

  private constructor(opened: {
    backplane: EmbeddedBackplane;
    fanout: FanOut;
    door: TrunkDoor;
    drain: Drain;
    edges: AttachedEdges;
  }) {
    this.edges = opened.edges;
    this.backplane = opened.backplane;
    this.fanout = opened.fanout;
    this.door = opened.door;
    this.drain = opened.drain;
  }

  static async open(file: string, options: Partial<TrunkDoorOptions> = {}): Promise<TestCore> {
    const parts = common();
    const backplane = await EmbeddedBackplane.open(parts, { file });
    const fanout = await FanOut.open({ ...parts, backplane }, { logBytes: 1e9, logSeconds: 3_600 });
    const sessions = new SinkLog();
    const edges = new AttachedEdges();
    const drain = new Drain({ ...parts, edges }, 50);
    const door = await TrunkDoor.open(
      { ...parts, backplane, fanout, sessions, edges, drain },
      {
        host: '127.0.0.1',
        port: 0,
        token: '',
        coreId: 'core-1',
        region: 'here',
        attachRate: 1_000,
        attachBurst: 1_000,
        softwareVersion: 'test',
        ...options,
      },
    );
    const core = new TestCore({ backplane, fanout, door, drain, edges });
    Object.assign(core, { parts, sink: sessions });
    return core;
  }

  get port(): number {
    return this.door.port;
  }

  async close(): Promise<void> {
    await this.door.close();
    await this.fanout.close();
    await this.backplane.close();
  }
}

export class TestEdge implements LocalDelivery {
  readonly parts = common();
  readonly spool: FakeSpool;
  readonly bridge: Bridge;
  readonly rules: EdgeRules;
  readonly received: Downlinked[] = [];
  readonly filters = new Set<string>();
  /** What was confirmed after each time that the core was asked for everything. */
  readonly synced: (Confirmed | null)[] = [];
  readonly local = new Map<string, Session>();
  readonly #waiters: { isDone: () => boolean; resolve: () => void }[] = [];
  /** Set to hold deliveries back. */
  gate: Promise<void> | null = null;

  constructor(
    id: string,
    port: number,
    options: {
      spool?: FakeSpool;
      token?: string;
      rules?: EdgeRules;
      bridge?: Partial<BridgeOptions>;
    } = {},
  ) {
    this.spool = options.spool ?? new FakeSpool(`epoch-of-${id}`);
    this.rules = options.rules ?? new EdgeRules(this.parts);
    this.bridge = new Bridge(
      { ...this.parts, spool: this.spool, rules: this.rules },
      {
        edgeId: id,
        region: 'here',
        cores: [`127.0.0.1:${port}`],
        token: options.token ?? '',
        softwareVersion: 'test',
        ...options.bridge,
      },
    );
  }

  async start(): Promise<this> {
    this.bridge.start(this);
    await this.bridge.onceConnected();
    return this;
  }

  async want(filter: string): Promise<boolean> {
    this.filters.add(filter);
    return (await this.bridge.want(filter)) !== null;
  }

  async deliver(_from: unknown, items: readonly Downlinked[]): Promise<void> {
    await this.gate;
    for (const item of items) {
      const payload = Buffer.from(item.publication.payload);
      this.received.push({ ...item, publication: { ...item.publication, payload } });
    }
    for (const waiter of [...this.#waiters]) if (waiter.isDone()) waiter.resolve();
  }

  wantedFilters(): Iterable<string> {
    return this.filters;
  }

  beginRetainedSync(): (confirmed: Confirmed | null) => void {
    return (confirmed) => {
      this.synced.push(confirmed);
    };
  }

  sessions(): Iterable<Session> {
    return this.local.values();
  }

  stats() {
    return {
      receivedMessages: 0,
      deliveredMessages: 0,
      droppedMessages: 0,
      connectedSessions: this.local.size,
      startedAtMs: 1,
    };
  }

  /** Payloads of a topic in the order of delivery. */
  payloads(topic: string): string[] {
    return this.received
      .filter((item) => item.publication.topic === topic)
      .map((item) => item.publication.payload.toString());
  }

  async receives(count: number): Promise<void> {
    const isDone = () => this.received.length >= count;
    if (isDone()) return;
    await new Promise<void>((resolve, reject) => {
      const guard = setTimeout(() => {
        reject(new Error(`${this.received.length} of ${count} publications came`));
      }, 8_000);
      this.#waiters.push({
        isDone,
        resolve: () => {
          clearTimeout(guard);
          resolve();
        },
      });
    });
  }
}

export async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
