/**
 * Where edges connect: checks their token, keeps one control stream for each edge, and gives every
 * lane to the edge that it belongs to. A bad stream ends alone; the process goes on.
 */

import type { Metadata, Server, ServerDuplexStream } from '@grpc/grpc-js';
import { TrunklineError } from '../../base/errors.ts';
import { heartbeatMs as defaultHeartbeatMs } from '../../base/limits.ts';
import { requirePeerName } from '../../base/tls/peer-names.ts';
import { RegistryFeedServiceService } from '../../proto/gen/trunkline/v1/registry.ts';
import type {
  ControlRequest,
  ControlResponse,
  LaneOpen,
  LaneRequest,
  LaneResponse,
} from '../../proto/gen/trunkline/v1/trunk.ts';
import { serverCredentials } from '../../proto/tls-credentials.ts';
import { trunkService } from '../../proto/trunk-service.ts';
import { BearerCheck } from '../grpc/bearer.ts';
import { bindServer, closeServer, createServer } from '../grpc/server.ts';
import type { CallStatus } from '../grpc/status.ts';
import { RegistryFeed } from '../registry/registry-feed.ts';
import { AttachGate } from './attach-gate.ts';
import { ControlStream } from './control-stream.ts';
import { helloOf, laneOwner } from './first-message.ts';
import { LaneCall } from './lane-call.ts';
import { endOf } from './lane-outlet.ts';
import { LaneStream } from './lane-stream.ts';
import { LogRenewal } from './log-renewal.ts';
import { settledWithin } from './settled-within.ts';
import { closingEnd, goneEnd, renewedEnd, replacedEnd, silentEnd } from './stream-ends.ts';
import { createTrunkCounters, type TrunkCounters } from './trunk-counters.ts';
import type { TrunkDoorOptions, TrunkDoorParts } from './trunk-door-parts.ts';
import { TrunkHealth } from './trunk-health.ts';
import { TrunkStream } from './trunk-stream.ts';

interface AttachedEdge {
  readonly control: ControlStream;
  readonly end: (end: CallStatus) => void;
}

export class TrunkDoor {
  readonly #parts: TrunkDoorParts & { readonly counters: TrunkCounters };
  readonly #options: TrunkDoorOptions;
  readonly #server: Server;
  readonly #edges = new Map<string, AttachedEdge>();
  readonly #streams = new Set<(end: CallStatus) => void>();
  readonly #bearer: BearerCheck;
  readonly #gate: AttachGate;
  readonly #health: TrunkHealth;
  readonly #renewal: LogRenewal;
  readonly #registry: RegistryFeed;
  readonly #heartbeatMs: number;
  #port = 0;
  #closing: Promise<void> | null = null;

  private constructor(parts: TrunkDoorParts, options: TrunkDoorOptions) {
    this.#parts = { ...parts, counters: createTrunkCounters(parts.metrics) };
    this.#options = options;
    this.#bearer = new BearerCheck(options.token);
    this.#heartbeatMs = options.heartbeatMs ?? defaultHeartbeatMs;
    const { attachRate: rate, attachBurst: burst, coreId, region } = options;
    this.#gate = new AttachGate(parts, { rate, burst });
    this.#health = new TrunkHealth(this.#bearer, () => {
      return { coreId, region, log: parts.backplane.logEpoch, edges: this.#edges.size };
    });
    this.#renewal = new LogRenewal(parts);
    parts.drain.onChanged(() => this.#tellHealth());
    parts.backplane.onChanged((what) => {
      this.#tellHealth();
      if (what === 'epoch') for (const { end } of [...this.#edges.values()]) end(renewedEnd);
    });
    this.#tellHealth();
    this.#server = createServer();
    this.#health.addTo(this.#server);
    this.#server.addService(trunkService, {
      control: (call: ServerDuplexStream<ControlRequest, ControlResponse>) => this.#control(call),
      lane: (call: ServerDuplexStream<LaneRequest, LaneResponse>) => this.#lane(call),
    });
    const { log, registry = null } = parts;
    this.#registry = new RegistryFeed({
      log,
      registry,
      bearer: this.#bearer,
      tls: options.tls ?? null,
    });
    this.#server.addService(RegistryFeedServiceService, this.#registry.handlers());
    parts.metrics.gauge('trunkline_edges', 'Edges attached.', () => this.#edges.size);
  }

  /** Throws `port-in-use` or `address-unavailable`. */
  static async open(parts: TrunkDoorParts, options: TrunkDoorOptions): Promise<TrunkDoor> {
    const door = new TrunkDoor(parts, options);
    const { port } = await bindServer(door.#server, {
      name: 'the trunk',
      host: options.host,
      port: options.port,
      portFlag: 'trunk-port',
      credentials: serverCredentials(options.tls ?? null),
    });
    door.#port = port;
    return door;
  }

  /** The port in use, when 0 was asked for. */
  get port(): number {
    return this.#port;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #tellHealth(): void {
    const { backplane, drain } = this.#parts;
    this.#health.setServing(!drain.isDraining && backplane.fault === '');
  }

  async #close(): Promise<void> {
    this.#health.setServing(false);
    this.#registry.close();
    await this.#renewal.close();
    await settledWithin(this.#parts.clock, this.#parts.backplane);
    for (const end of [...this.#streams]) end(closingEnd);
    await closeServer(this.#server);
  }

  #control(call: ServerDuplexStream<ControlRequest, ControlResponse>): void {
    let control: ControlStream | null = null;
    const stream: TrunkStream<ControlRequest, ControlResponse> = new TrunkStream(
      this.#parts.clock,
      call,
      {
        message: ({ message }) =>
          this.#guard(end, () => {
            if (control === null) control = this.#attach(message, { call, stream, end });
            else control.receive(message);
          }),
        drained: () => {},
        ended: (reason) => {
          this.#streams.delete(end);
          if (control !== null) this.#detach(control, reason);
        },
      },
    );
    const end = (why: CallStatus) => stream.end(why);
    if (!this.#admit(call.metadata, end)) return;
    const refusal = this.#gate.refusal();
    if (refusal !== null) end(refusal);
  }

  #lane(call: ServerDuplexStream<LaneRequest, LaneResponse>): void {
    let edge: AttachedEdge | null = null;
    const laneCall = new LaneCall<AttachedEdge>({
      caughtUp: () => this.#parts.backplane.caughtUp(),
      check: (open) => {
        this.#requireName(call, open.edgeId);
        return laneOwner(open, this.#edges.get(open.edgeId));
      },
      isAhead: (open) => this.#renewal.isAhead(open),
      renew: (open) => this.#renewal.begin(open, () => end(renewedEnd)),
      open: (open, by) => {
        edge = by;
        return this.#openLane(open, by, { stream, end });
      },
      guard: (work) => this.#guard(end, work),
    });
    const stream: TrunkStream<LaneRequest, LaneResponse> = new TrunkStream(
      this.#parts.clock,
      call,
      {
        message: ({ message }) => this.#guard(end, () => laneCall.receive(message)),
        drained: () => laneCall.lane?.drained(),
        ended: (reason) => {
          this.#streams.delete(end);
          laneCall.end();
          const { lane } = laneCall;
          if (lane === null) return;
          edge?.control.link.detachLane(lane);
          lane.close();
          const { edgeId } = edge?.control ?? {};
          // With its edge is not worth a line each.
          const level = this.#edges.get(edgeId ?? '') === edge ? 'info' : 'debug';
          this.#parts.log[level]({ edge: edgeId, lane: lane.lane, reason }, 'lane ended');
        },
      },
    );
    const end = (why: CallStatus) => stream.end(why);
    this.#admit(call.metadata, end);
  }

  /** Ends a stream whose token is not right, and every stream of a door that closes. */
  #admit(metadata: Metadata, end: (end: CallStatus) => void): boolean {
    this.#streams.add(end);
    return this.#guard(end, () => {
      if (this.#closing !== null) throw new TrunklineError('unreachable', closingEnd.details);
      const [given] = metadata.get('authorization');
      if (this.#bearer.admits(typeof given === 'string' ? given : undefined)) return;
      throw new TrunklineError(
        'not-authorized',
        'The trunk token is missing or wrong: set trunk.token of the edge to that of the core.',
      );
    });
  }

  /** Where certificates are asked for, an edge is who its own says. Throws `not-authorized`. */
  #requireName(call: ServerDuplexStream<unknown, unknown>, edgeId: string): void {
    const { tls } = this.#options;
    if (!tls || tls.material.ca === null) return;
    requirePeerName(call.getAuthContext().sslPeerCertificate, 'edge', edgeId);
  }

  /** What a message brings about ends its own stream at worst. */
  #guard(end: (end: CallStatus) => void, work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      if (!(error instanceof TrunklineError)) throw error;
      this.#parts.counters.streamsRefused.add();
      this.#parts.log.warn({ code: error.code, reason: error.message }, 'stream refused');
      end(endOf(error));
      return false;
    }
  }

  #attach(
    message: ControlRequest['message'],
    from: {
      call: ServerDuplexStream<ControlRequest, ControlResponse>;
      stream: TrunkStream<ControlRequest, ControlResponse>;
      end: (end: CallStatus) => void;
    },
  ): ControlStream {
    // First, so that one who cannot be taken does not end the link of the one who was.
    const hello = helloOf(message);
    this.#requireName(from.call, hello.edgeId);
    const { counters, log } = this.#parts;
    const older = this.#edges.get(hello.edgeId);
    if (older !== undefined) {
      counters.edgesReplaced.add();
      log.warn({ edge: hello.edgeId }, 'edge replaced by another connection');
      older.end(replacedEnd);
    }
    const control = new ControlStream(this.#parts, hello, {
      ...this.#options,
      heartbeatMs: this.#heartbeatMs,
      outlet: {
        write: (response) => from.stream.write({ message: response }),
        dead: () => {
          counters.streamsDead.add();
          from.end(silentEnd);
        },
      },
    });
    this.#edges.set(hello.edgeId, { control, end: from.end });
    log.info({ edge: hello.edgeId, region: hello.region, epoch: hello.epoch }, 'edge attached');
    return control;
  }

  #detach(control: ControlStream, reason: string): void {
    if (this.#edges.get(control.edgeId)?.control === control) this.#edges.delete(control.edgeId);
    control.close(this.#closing === null ? goneEnd : closingEnd);
    this.#parts.log.info({ edge: control.edgeId, reason }, 'edge detached');
  }

  #openLane(
    open: LaneOpen,
    edge: AttachedEdge,
    from: { stream: TrunkStream<LaneRequest, LaneResponse>; end: (end: CallStatus) => void },
  ): LaneStream {
    const { link } = edge.control;
    const lane = new LaneStream(this.#parts, open, {
      interest: link.interest,
      capabilities: edge.control.capabilities,
      heartbeatMs: this.#heartbeatMs,
      roundTripMs: () => edge.control.roundTripMs,
      outlet: {
        write: (message, moved) => from.stream.write({ message }, moved),
        fail: (end) => {
          this.#parts.log.warn({ edge: open.edgeId, lane: open.lane, ...end }, 'lane refused');
          from.end(end);
        },
      },
    });
    link.attachLane({ stream: lane, end: from.end }, replacedEnd);
    return lane;
  }
}
