/**
 * An edge's control stream: hello and welcome, heartbeats, the edge's interest, what it tells of
 * its sessions, and what others want from it. While it lives, the edge is attached.
 */
import type { Clock } from '../../base/clock.ts';
import { TrunklineError } from '../../base/errors.ts';
import type { Ledger } from '../../base/ledger.ts';
import { laneCount, uplinkLanesMax } from '../../base/limits.ts';
import { Liveness, livenessTickMs } from '../../base/liveness.ts';
import type {
  ControlRequest,
  ControlResponse,
  Heartbeat,
  Hello,
  SessionFacts,
} from '../../proto/gen/trunkline/v1/trunk.ts';
import type { Backplane } from '../backplane/backplane.ts';
import type { FanOut } from '../fanout/fan-out.ts';
import type { WantedListener } from '../fanout/wanted-filters.ts';
import type { CallStatus } from '../grpc/status.ts';
import type { SessionSink } from '../sessions/session-sink.ts';
import type { AttachedEdge, AttachedEdges } from './attached-edges.ts';
import { EdgeCommands } from './edge-commands.ts';
import { EdgeLink } from './edge-link.ts';

/** Filters in one message: large snapshots go in several. */
const filtersPerMessage = 1_000;

const edgeIdForm = /^[A-Za-z0-9._-]{1,64}$/;
const epochForm = /^[\x21-\x7e]{1,64}$/;

export interface ControlParts {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly backplane: Backplane;
  readonly fanout: FanOut;
  readonly sessions: SessionSink;
  readonly edges: AttachedEdges;
}

export interface ControlOptions {
  readonly coreId: string;
  readonly region: string;
  readonly softwareVersion: string;
  readonly heartbeatMs: number;
}

export interface ControlOutlet {
  write(message: NonNullable<ControlResponse['message']>): void;
  /** The edge has fallen silent. */
  dead(): void;
}

export class ControlStream {
  readonly edgeId: string;
  readonly epoch: string;
  /** What the edge named at hello. */
  readonly capabilities: ReadonlySet<string>;
  /** Streams that it may open: for its own lanes, and for those of the log. */
  readonly streamsMax: number;
  readonly link: EdgeLink;
  readonly #parts: ControlParts;
  readonly #outlet: ControlOutlet;
  readonly #liveness: Liveness;
  readonly #stopTicking: () => void;
  readonly #wantedListener: WantedListener;
  readonly #attached: AttachedEdge;
  readonly #wantedChanges = new Map<string, boolean>();
  #wantedTurn: NodeJS.Immediate | null = null;
  #wantedVersion = 0;
  #roundTripMs = 0;

  /** The hello must have been checked. */
  constructor(
    parts: ControlParts,
    hello: Hello,
    context: ControlOptions & { outlet: ControlOutlet },
  ) {
    const { backplane, clock, fanout, sessions } = parts;
    const { coreId, region, softwareVersion, heartbeatMs, outlet } = context;
    this.edgeId = hello.edgeId;
    this.epoch = hello.epoch;
    this.capabilities = new Set(hello.capabilities);
    this.streamsMax = Math.max(hello.laneCount, laneCount);
    this.#parts = parts;
    this.#outlet = outlet;
    this.#liveness = new Liveness(clock, heartbeatMs);
    this.link = new EdgeLink(parts, hello.edgeId);
    sessions.edgeAttached(hello);
    outlet.write({
      $case: 'welcome',
      value: {
        coreId,
        logEpoch: backplane.logEpoch,
        softwareVersion,
        capabilities: ['canary', 'deflate'],
        laneCount,
        heartbeatMs,
        region,
      },
    });
    this.#wantedListener = (filter, isWanted) => this.#wantedChanged(filter, isWanted);
    this.#sendWanted(true, fanout.wanted.listen(this.edgeId, this.#wantedListener), []);
    this.#attached = {
      edgeId: hello.edgeId,
      commands: new EdgeCommands(clock, {
        edgeId: hello.edgeId,
        capabilities: hello.capabilities,
        write: (value) => outlet.write({ $case: 'command', value }),
      }),
      stageOf: (topic, at) => this.link.stageOf(topic, at),
      filters: () => this.link.interest.filters(),
    };
    parts.edges.attach(this.#attached);
    this.#stopTicking = clock.every(livenessTickMs(heartbeatMs), () => {
      const isAlive = this.link.tick();
      if (this.#liveness.tick() === 'dead' || !isAlive) outlet.dead();
    });
  }

  /** Throws what the stream has to end with. A kind of a later version is passed over. */
  receive(message: ControlRequest['message']): void {
    const { sessions } = this.#parts;
    this.#liveness.heard();
    switch (message?.$case) {
      case 'hello':
        throw new TrunklineError('protocol', 'A second hello on one control stream.');
      case 'heartbeat':
        this.#answer(message.value);
        break;
      case 'interest':
        this.link.applyInterest(message.value);
        sessions.edgeInterest(this.edgeId, this.link.interest.size);
        break;
      case 'sessions':
        this.#tellSessions(message.value);
        break;
      case 'stats':
        this.#noteRoundTrip(message.value.roundTripUs / 1_000);
        sessions.edgeStats(this.edgeId, message.value);
        break;
      case 'result':
        this.#attached.commands.settle(message.value);
        break;
    }
  }

  /** The least that the edge has told: what the way alone takes; 0 until it has. */
  get roundTripMs(): number {
    return this.#roundTripMs;
  }

  close(end: CallStatus): void {
    this.#stopTicking();
    if (this.#wantedTurn !== null) clearImmediate(this.#wantedTurn);
    this.#wantedTurn = null;
    this.#parts.fanout.wanted.unlisten(this.edgeId, this.#wantedListener);
    this.#parts.edges.detach(this.#attached);
    this.link.close(end);
    this.#parts.sessions.edgeDetached(this.edgeId);
  }

  #noteRoundTrip(ms: number): void {
    if (ms <= 0) return;
    this.#roundTripMs = this.#roundTripMs === 0 ? ms : Math.min(this.#roundTripMs, ms);
  }

  /** At once, so that the edge can measure the round trip. */
  #answer(heartbeat: Heartbeat): void {
    const sentAtMs = this.#parts.clock.now();
    this.#outlet.write({
      $case: 'heartbeat',
      value: { sentAtMs, echoMs: heartbeat.sentAtMs },
    });
  }

  #tellSessions(facts: SessionFacts): void {
    const { sessions } = this.#parts;
    if (facts.snapshotBegin) sessions.snapshotBegin(this.edgeId);
    if (facts.changed.length > 0) sessions.upsert(this.edgeId, facts.changed);
    if (facts.removed.length > 0) sessions.remove(this.edgeId, facts.removed);
    if (facts.snapshotEnd) sessions.snapshotEnd(this.edgeId);
    if (facts.events.length > 0) sessions.happened(this.edgeId, facts.events);
  }

  #wantedChanged(filter: string, isWanted: boolean): void {
    this.#wantedChanges.set(filter, isWanted);
    this.#wantedTurn ??= setImmediate(() => {
      this.#wantedTurn = null;
      const added: string[] = [];
      const removed: string[] = [];
      for (const [name, wanted] of this.#wantedChanges) (wanted ? added : removed).push(name);
      this.#wantedChanges.clear();
      this.#sendWanted(false, added, removed);
    });
  }

  #sendWanted(snapshot: boolean, added: readonly string[], removed: readonly string[]): void {
    const length = Math.max(added.length, removed.length, snapshot ? 1 : 0);
    for (let at = 0; at < length; at += filtersPerMessage) {
      this.#outlet.write({
        $case: 'wanted',
        value: {
          version: ++this.#wantedVersion,
          snapshot: snapshot && at === 0,
          added: added.slice(at, at + filtersPerMessage),
          removed: removed.slice(at, at + filtersPerMessage),
        },
      });
    }
  }
}

/** Throws `protocol` when the hello cannot be taken. */
export function checkHello(hello: Hello): void {
  if (!edgeIdForm.test(hello.edgeId)) {
    throw new TrunklineError(
      'protocol',
      `Hello: edge_id "${hello.edgeId}" is not 1 to 64 letters, digits, dots, dashes or underscores.`,
    );
  }
  if (!epochForm.test(hello.epoch)) {
    throw new TrunklineError('protocol', 'Hello: epoch is not 1 to 64 printable characters.');
  }
  if (hello.laneCount < 1 || hello.laneCount > uplinkLanesMax) {
    throw new TrunklineError(
      'protocol',
      `Hello: lane_count is ${hello.laneCount}, but an edge has 1 to ${uplinkLanesMax} lanes.`,
    );
  }
}
