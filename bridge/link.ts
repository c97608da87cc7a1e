/**
 * One link to one core, from its first connection to its end: control on one HTTP/2 connection, the
 * lanes on another, so that bulk data never delays a heartbeat. It lives as a whole: whatever part
 * of it fails ends all of it, and the bridge makes a new one.
 */
import { type ClientOptions, credentials, Metadata } from '@grpc/grpc-js';
import {
  connectMs,
  heartbeatMs,
  laneCount,
  laneCreditBytes,
  trunkMessageBytesMax,
} from '../base/limits.ts';
import { livenessTickMs } from '../base/liveness.ts';
import type { Publication } from '../base/publication.ts';
import { laneOf } from '../base/topic.ts';
import {
  type InterestUpdate,
  TrunkServiceClient,
  type Welcome,
} from '../proto/gen/trunkline/v1/trunk.ts';
import { Control } from './control.ts';
import { Lane } from './lane.ts';
import type { LaneDownlink } from './lane-downlink.ts';
import type { LaneUplinkParts } from './lane-uplink.ts';
import type { UplinkRecord } from './ports.ts';

const clientOptions: ClientOptions = {
  // Without its own pool each client would share the other's connection.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_receive_message_length': trunkMessageBytesMax,
  'grpc.max_send_message_length': trunkMessageBytesMax,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  // Wide, because credits of our own bound what is under way.
  'grpc-node.flow_control_window': 4 * 1024 * 1024,
};

export interface LinkOptions {
  readonly address: string;
  readonly token: string;
  readonly edgeId: string;
  readonly region: string;
  readonly softwareVersion: string;
}

export interface LinkHandlers {
  /** Every lane is open: interest and sessions may be sent. */
  readonly up: () => void;
  readonly wanted: (update: InterestUpdate) => void;
  readonly reached: (lane: number, version: number) => void;
  readonly malformed: (reason: string) => void;
}

export interface LinkParts extends LaneUplinkParts {
  readonly downlinks: readonly LaneDownlink[];
}

export class Link {
  readonly address: string;
  readonly control: Control;
  /** Resolves with the reason, once everything of it is at rest. */
  readonly ended: Promise<string>;
  readonly #parts: LinkParts;
  readonly #options: LinkOptions;
  readonly #handlers: LinkHandlers;
  readonly #clients: readonly [TrunkServiceClient, TrunkServiceClient];
  readonly #metadata = new Metadata();
  #lanes: Lane[] = [];
  #welcome: Welcome | null = null;
  #isUp = false;
  #reason: string | null = null;
  #settle: (reason: string) => void = () => {};
  #cancelDeadline: () => void;
  #stopTicking: () => void = () => {};

  constructor(parts: LinkParts, options: LinkOptions, handlers: LinkHandlers) {
    this.#parts = parts;
    this.#options = options;
    this.#handlers = handlers;
    this.address = options.address;
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
    if (options.token !== '') this.#metadata.set('authorization', `Bearer ${options.token}`);
    this.#clients = [this.#client(), this.#client()];
    this.#cancelDeadline = parts.clock.after(connectMs, () => {
      this.end(`the core did not answer within ${connectMs} ms`);
    });
    this.control = new Control(parts.clock, this.#clients[0].control(this.#metadata), {
      welcome: (welcome) => this.#welcomed(welcome),
      wanted: handlers.wanted,
      fail: (reason) => this.end(reason),
    });
    const { edgeId, region, softwareVersion } = options;
    const { epoch } = parts.spool;
    const hello = { edgeId, epoch, region, softwareVersion, capabilities: [], laneCount };
    this.control.hello(hello);
  }

  get isUp(): boolean {
    return this.#isUp && this.#reason === null;
  }

  get coreId(): string {
    return this.#welcome?.coreId ?? '';
  }

  /** Records that just became durable, of all lanes, in order. */
  take(records: () => readonly UplinkRecord[]): void {
    // While no lane keeps up, or none is open, nothing is taken apart for them.
    if (!this.#lanes.some((lane) => lane.uplink.isLive)) return;
    const byLane: UplinkRecord[][] = this.#lanes.map(() => []);
    for (const record of records()) byLane[record.lane]?.push(record);
    for (const [lane, list] of byLane.entries()) {
      if (list.length > 0) this.#lanes[lane]?.uplink.take(list);
    }
  }

  /** QoS 0. False when its lane is full. */
  offer(publication: Publication): boolean {
    return this.#lanes[laneOf(publication.topic)]?.uplink.offer(publication) ?? false;
  }

  lanesBehind(): number {
    return this.#lanes.filter((lane) => lane.uplink.isBehind).length;
  }

  /** Idempotent; the first reason counts. */
  end(reason: string): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.#cancelDeadline();
    this.#stopTicking();
    this.control.end();
    // A lane at rest reads the spool no more; its end does not reject.
    Promise.all(this.#lanes.map((lane) => lane.end())).then(
      () => this.#closed(reason),
      () => this.#closed(reason),
    );
  }

  #closed(reason: string): void {
    for (const client of this.#clients) client.close();
    this.#settle(reason);
  }

  #client(): TrunkServiceClient {
    return new TrunkServiceClient(
      this.#options.address,
      credentials.createInsecure(),
      clientOptions,
    );
  }

  #welcomed(welcome: Welcome): void {
    if (this.#welcome !== null || this.#reason !== null) return;
    this.#welcome = welcome;
    if (welcome.laneCount !== laneCount) {
      this.end(`the core has ${welcome.laneCount} lanes, this edge ${laneCount}`);
      return;
    }
    for (let lane = 0; lane < laneCount; lane++) this.#lanes.push(this.#openLane(lane, welcome));
    this.#stopTicking = this.#parts.clock.every(
      livenessTickMs(welcome.heartbeatMs || heartbeatMs),
      () => this.#tick(),
    );
  }

  #openLane(lane: number, welcome: Welcome): Lane {
    const { downlinks, spool } = this.#parts;
    const at = spool.downlinkPosition(lane);
    return new Lane(this.#parts, this.#clients[1].lane(this.#metadata), {
      open: {
        edgeId: this.#options.edgeId,
        epoch: spool.epoch,
        lane,
        oldestSequence: spool.oldestOf(lane),
        logEpoch: at.logEpoch,
        position: at.position,
        creditBytes: laneCreditBytes,
      },
      downlink: downlinks[lane] as LaneDownlink,
      coreId: welcome.coreId,
      heartbeatMs: welcome.heartbeatMs,
      handlers: {
        opened: () => this.#laneOpened(),
        reached: (version) => this.#handlers.reached(lane, version),
        malformed: (reason) => {
          this.#handlers.malformed(reason);
          this.end(reason);
        },
        fail: (reason) => this.end(reason),
      },
    });
  }

  /** Positions count for all lanes at once: those of a new log replace all of the old one. */
  #laneOpened(): void {
    const opened = this.#lanes.flatMap((lane) => lane.opened ?? []);
    if (opened.length < laneCount) return;
    const { spool } = this.#parts;
    const through = opened.map((lane) => lane.durableThrough);
    if (through.some((sequence, lane) => sequence > spool.sentThrough(lane))) {
      this.#renewSpool(through);
      return;
    }
    const lanes = this.#lanes.map(({ isSetBack }, lane) => ({
      position: opened[lane]?.position ?? 0,
      isSetBack,
    }));
    spool.startAt({ logEpoch: opened[0]?.logEpoch ?? '', lanes });
    for (const lane of this.#lanes) lane.start();
    this.#isUp = true;
    this.#cancelDeadline();
    this.#handlers.up();
  }

  /** Sequences that the core has of this spool's earlier life would be taken for repeats. */
  #renewSpool(durableThrough: readonly number[]): void {
    const { log, spool } = this.#parts;
    log.error(
      { core: this.address, durable_through: durableThrough, epoch: spool.epoch },
      'the core has more of this spool than it ever sent: its folder was put back from an old copy, and it takes a new epoch',
    );
    spool.renewEpoch(durableThrough).then(
      () => this.end('the spool takes a new epoch'),
      (error: unknown) => {
        log.error({ err: error }, 'the spool cannot take a new epoch');
        this.end('the spool cannot take a new epoch');
      },
    );
  }

  #tick(): void {
    const lanesAlive = this.#lanes.map((lane) => lane.tick());
    if (!this.control.tick()) this.end('nothing was heard of the core for too long');
    const silent = lanesAlive.indexOf(false);
    if (silent >= 0) this.end(`nothing was heard on lane ${silent} for too long`);
  }
}
