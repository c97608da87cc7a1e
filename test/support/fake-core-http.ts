/**
 * The operators' HTTP of a core without a trunk: the real page, the real answers, and a fleet that
 * the test makes up. Edges, sessions and rates change when the test says so.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { createLog } from '../../base/log.ts';
import { Metrics } from '../../base/metrics.ts';
import { FleetEngine } from '../../core/fleet/fleet-engine.ts';
import { nameOnly } from '../../core/fleet/session-watch.ts';
import { TrunkDesk } from '../../core/fleet/trunk-desk.ts';
import { SessionHistory } from '../../core/history/session-history.ts';
import { type HttpDoor, openHttp } from '../../core/http/http-server.ts';
import { SessionIndex } from '../../core/sessions/session-index.ts';
import { type Session, SessionEvent, SessionState } from '../../proto/gen/trunkline/v1/session.ts';
import {
  type CoreStats,
  CoreStats_State,
  type LaneStats,
  Rule_Priority,
} from '../../proto/gen/trunkline/v1/trunk.ts';

const coreId = 'core-1';

export interface FakeCoreOptions {
  /** Folder of the built page. */
  readonly consoleDirectory: string;
  readonly token?: string;
  readonly port?: number;
}

interface EdgeTotals {
  received: number;
  delivered: number;
  dropped: number;
  backlog: number;
  /** Of lane 2; the others are proven. */
  proofAgeMs: number;
}

export class FakeCore {
  readonly index: SessionIndex;
  /** Why the core is not ready; empty: it is. */
  reasons: string[] = [];
  readonly #trunks: TrunkDesk;
  #folder = '';
  #history: SessionHistory | null = null;
  readonly #metrics = new Metrics();
  readonly #log = createLog({ level: 'silent', format: 'json', tier: 'test' });
  readonly #options: FakeCoreOptions;
  readonly #totals = new Map<string, EdgeTotals>();
  #door: HttpDoor | null = null;

  constructor(options: FakeCoreOptions) {
    this.#options = options;
    const parts = { clock: systemClock, log: this.#log, metrics: this.#metrics };
    this.index = new SessionIndex(parts);
    this.#trunks = new TrunkDesk({ ...parts, index: this.index }, { coreId });
  }

  get port(): number {
    return this.#door?.port ?? 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/`;
  }

  /** Opens at the given port, or at the one it had before. */
  async open(port = this.#options.port ?? 0): Promise<void> {
    const parts = { clock: systemClock, log: this.#log, metrics: this.#metrics };
    this.#folder = mkdtempSync(join(tmpdir(), 'trunkline-fake-core-'));
    const history = await SessionHistory.open(parts, {
      file: join(this.#folder, 'history.db'),
      keptSeconds: 86_400,
      bytesMax: 1e9,
    });
    this.#history = history;
    const { index } = this;
    this.#door = await openHttp(
      {
        ...parts,
        fleet: new FleetEngine({ ...parts, index, trunks: this.#trunks, history }),
        readiness: () => ({ ready: this.reasons.length === 0, reasons: this.reasons }),
      },
      {
        host: '127.0.0.1',
        port,
        token: this.#options.token ?? '',
        consoleDirectory: this.#options.consoleDirectory,
      },
    );
  }

  async close(): Promise<void> {
    await this.#door?.close();
    await this.#history?.close();
    this.#history = null;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** What happened to a client; the core must be open. */
  happened(clientId: string, kind: string, more: Partial<SessionEvent> = {}): void {
    const event = SessionEvent.decode(new Uint8Array(0));
    Object.assign(event, { atMs: Date.now(), clientId, kind, edgeId: 'edge-1', ...more });
    this.#history?.note([event]);
  }

  attach(edgeId: string, region: string): void {
    this.index.edgeAttached({ edgeId, region, softwareVersion: '0.1.0' });
    this.#totals.set(edgeId, {
      received: 0,
      delivered: 0,
      dropped: 0,
      backlog: 0,
      proofAgeMs: 900,
    });
  }

  /** The edge did this much more; rates are made from it. */
  report(edgeId: string, more: Partial<EdgeTotals>): void {
    const totals = this.#totals.get(edgeId);
    if (totals === undefined) throw new Error(`no edge ${edgeId}`);
    totals.received += more.received ?? 0;
    totals.delivered += more.delivered ?? 0;
    totals.dropped += more.dropped ?? 0;
    totals.backlog = more.backlog ?? totals.backlog;
    totals.proofAgeMs = more.proofAgeMs ?? totals.proofAgeMs;
    this.index.edgeStats(edgeId, {
      receivedMessages: totals.received,
      deliveredMessages: totals.delivered,
      droppedMessages: totals.dropped,
      uplinkedMessages: totals.received,
      downlinkedMessages: totals.delivered,
      connectedSessions: 0,
      backlogMessages: totals.backlog,
      spoolBytes: 4 * 1024 * 1024 + totals.backlog * 140,
      startedAtMs: Date.now() - 3_600_000,
      roundTripUs: edgeId.includes('virginia') ? 92_400 : 640,
      lanes: Array.from({ length: 6 }, (_, lane) => laneOf(lane, totals)),
      rulesVersion: 3,
      emptyInSeconds: Math.ceil(totals.backlog / 1_500),
      foreign: [],
      cores: edgeId === 'edge-1' ? [] : knownCores,
    });
  }

  connect(edgeId: string, clientId: string, facts: Partial<Session> = {}): void {
    this.index.upsert(edgeId, [sessionOf(edgeId, clientId, facts)]);
  }

  keep(edgeId: string, clientId: string, facts: Partial<Session> = {}): void {
    const kept = {
      state: SessionState.KEPT,
      cleanStart: false,
      disconnectedAtMs: Date.now() - 95_000,
      disconnectReason: 'keep-alive-timeout',
      queueMessages: 12,
    };
    this.index.upsert(edgeId, [sessionOf(edgeId, clientId, { ...kept, ...facts })]);
  }

  remove(edgeId: string, clientId: string): void {
    this.index.remove(edgeId, [clientId]);
  }

  /** A device behind a gateway, which the core itself holds. */
  connectBehind(gatewayId: string, clientId: string): void {
    const facts = { gatewayId, protocol: 'grpc', listener: 'gateway', keepAliveSeconds: 0 };
    this.index.upsert(coreId, [sessionOf(coreId, clientId, facts)]);
  }
}

const knownCores: CoreStats[] = [
  {
    address: 'core-east:7400',
    coreId: 'core-east',
    region: 'us-east',
    state: CoreStats_State.SERVING,
    roundTripUs: 92_400,
    edges: 2,
  },
  {
    address: 'core-west:7400',
    coreId: '',
    region: '',
    state: CoreStats_State.UNREACHABLE,
    roundTripUs: 0,
    edges: 0,
  },
];

function laneOf(lane: number, totals: EdgeTotals): LaneStats {
  const isMarked = lane === 2;
  const proofAgeMs = isMarked ? totals.proofAgeMs : 1_400 + lane * 300;
  return {
    lane,
    backlogMessages: isMarked ? totals.backlog : 0,
    oldestUnackedMs: isMarked ? totals.backlog * 4 : 0,
    proofAgeMs,
    proofOverdue: proofAgeMs > 30_000,
    creditBytes: 4 * 1024 * 1024 - lane * 1_024,
    uplinkedMessages: Math.round(totals.received / 6),
    downlinkedMessages: Math.round(totals.delivered / 6),
    priority: [Rule_Priority.HIGH, Rule_Priority.BULK][lane - 4] ?? Rule_Priority.NORMAL,
  };
}

function sessionOf(edgeId: string, clientId: string, facts: Partial<Session>): Session {
  const kind = clientId.split('-')[0] ?? 'device';
  return {
    ...nameOnly(''),
    clientId,
    edgeId,
    gatewayId: '',
    state: SessionState.CONNECTED,
    protocol: '3.1.1',
    listener: 'mqtt',
    remoteAddress: '192.0.2.17:50412',
    username: '',
    cleanStart: true,
    keepAliveSeconds: 30,
    connectedAtMs: Date.now() - 600_000,
    disconnectedAtMs: 0,
    disconnectReason: '',
    subscriptions: [{ filter: `fleet/${kind}/${clientId}/command`, qos: 1 }],
    subscriptionCount: 1,
    queueMessages: 0,
    inflightMessages: 0,
    receivedMessages: 1_284,
    deliveredMessages: 31,
    droppedMessages: 0,
    region: '',
    sessionExpirySeconds: 0,
    willPresent: false,
    receiveMaximum: 0,
    disconnectedBy: '',
    queueOldestAtMs: 0,
    receivedRate: 0,
    deliveredRate: 0,
    keepAliveMarginMs: 0,
    drops: [],
    updatedAtMs: 0,
    ...facts,
  };
}
