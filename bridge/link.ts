/**
 * One link to one core, from its first connection to its end: control on one HTTP/2 connection, the
 * lanes on another, so that bulk data never delays a heartbeat. It lives as a whole: whatever part
 * of it fails ends all of it, and the bridge makes a new one.
 */
import { Metadata } from '@grpc/grpc-js';
import {
  connectMs,
  drainMs,
  farRoundTripMs,
  heartbeatMs,
  laneCount,
  laneCreditBytes,
} from '../base/limits.ts';
import { livenessTickMs } from '../base/liveness.ts';
import type { Publication } from '../base/publication.ts';
import { PayloadDeflater } from '../proto/deflate.ts';
import type { TrunkServiceClient, Welcome } from '../proto/gen/trunkline/v1/trunk.ts';
import { Control } from './control.ts';
import { Lane } from './lane.ts';
import type { LaneDownlink } from './lane-downlink.ts';
import { LaneTurns } from './lane-turns.ts';
import type { LinkShare } from './lane-uplink.ts';
import type { LinkHandlers, LinkOptions, LinkParts } from './link-options.ts';
import type { UplinkRecord } from './ports.ts';
import { type Replay, ReplayMeter } from './replay-meter.ts';
import { ReplayPace } from './replay-pace.ts';
import { openTrunkClient } from './trunk-client.ts';

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
  /** The core has lanes of its log, which may be more or fewer. */
  readonly #uplinkLanes: number;
  readonly #share: LinkShare;
  readonly #meter: ReplayMeter;
  #lanes: Lane[] = [];
  #welcome: Welcome | null = null;
  #mayProceed = false;
  #isUp = false;
  #isKnownLog = false;
  #reason: string | null = null;
  #settle: (reason: string) => void = () => {};
  #cancelDeadline: () => void;
  #stopTicking: () => void = () => {};

  constructor(parts: LinkParts, options: LinkOptions, handlers: LinkHandlers) {
    this.#parts = parts;
    this.#options = options;
    this.#handlers = handlers;
    this.address = options.address;
    this.#uplinkLanes = parts.spool.laneCount;
    this.#share = {
      turns: new LaneTurns(),
      pace: new ReplayPace(parts.clock, options.replayRate),
      deflater: () => this.#deflater(),
    };
    this.#meter = new ReplayMeter(parts.clock, parts.spool);
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
    if (options.token !== '') this.#metadata.set('authorization', `Bearer ${options.token}`);
    const open = () => openTrunkClient(this.address, options.tls);
    this.#clients = [open(), open()];
    this.#cancelDeadline = parts.clock.after(connectMs, () => {
      this.end(`the core did not answer within ${connectMs} ms`);
    });
    this.control = new Control(parts.clock, this.#clients[0].control(this.#metadata), {
      welcome: (welcome) => this.#welcomed(welcome),
      wanted: handlers.wanted,
      command: handlers.command,
      fail: (reason) => this.end(reason),
    });
    const { edgeId, region, softwareVersion } = options;
    const { epoch } = parts.spool;
    const capabilities = [...options.capabilities];
    if (options.compresses) capabilities.push('deflate');
    const hello = { edgeId, epoch, region, softwareVersion, capabilities };
    this.control.hello({ ...hello, laneCount: this.#uplinkLanes });
  }

  get isUp(): boolean {
    return this.#isUp && this.#reason === null;
  }

  /** Whether the core's log is the one that this edge was last attached to. */
  get isKnownLog(): boolean {
    return this.#isKnownLog;
  }

  get coreId(): string {
    return this.#welcome?.coreId ?? '';
  }

  get coreRegion(): string {
    return this.#welcome?.region ?? '';
  }

  get coreCapabilities(): readonly string[] {
    return this.#welcome?.capabilities ?? [];
  }

  creditOf(lane: number): number {
    return this.#lanes[lane]?.uplink.credit ?? 0;
  }

  /** How long the backlog will last. */
  get replay(): Replay {
    return this.#meter.replay;
  }

  get retryAfterMs(): number {
    return this.control.retryAfterMs;
  }

  /** The lanes may open, as soon as the core has said welcome: no other link uses the spool now. */
  proceed(): void {
    if (this.#mayProceed) return;
    this.#mayProceed = true;
    if (this.#welcome !== null && this.#reason === null) this.#openLanes(this.#welcome);
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

  /** More may go up than before, though nothing new was accepted. */
  released(): void {
    for (const lane of this.#lanes) lane.uplink.released();
  }

  /** QoS 0. False when its lane is full. */
  offer(publication: Publication): boolean {
    const lane = this.#parts.spool.laneFor(publication.topic);
    return this.#lanes[lane]?.uplink.offer(publication) ?? false;
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
    this.#share.turns.close();
    this.#share.pace.close();
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

  #welcomed(welcome: Welcome): void {
    if (this.#welcome !== null || this.#reason !== null) return;
    this.#welcome = welcome;
    if (welcome.laneCount !== laneCount) {
      this.end(`the core has ${welcome.laneCount} lanes, this edge ${laneCount}`);
      return;
    }
    this.#stopTicking = this.#parts.clock.every(
      livenessTickMs(welcome.heartbeatMs || heartbeatMs),
      () => this.#tick(),
    );
    if (this.#mayProceed) this.#openLanes(welcome);
    this.#handlers.welcomed();
  }

  #deflater(): PayloadDeflater | null {
    if (!this.#options.compresses || !this.coreCapabilities.includes('deflate')) return null;
    const isFar = () => this.control.leastRoundTripMs > farRoundTripMs;
    return new PayloadDeflater(this.#parts.flow, isFar);
  }

  #openLanes(welcome: Welcome): void {
    const streams = Math.max(this.#uplinkLanes, laneCount);
    for (let lane = 0; lane < streams; lane++) this.#lanes.push(this.#openLane(lane, welcome));
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
        acknowledged: spool.acknowledgedOf(lane),
      },
      downlink: downlinks[lane] as LaneDownlink,
      coreId: welcome.coreId,
      heartbeatMs: welcome.heartbeatMs,
      share: this.#share,
      handlers: {
        opened: () => this.#laneOpened(),
        reached: (version) => {
          if (lane < laneCount) this.#handlers.reached(lane, version);
        },
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
    if (opened.length < this.#lanes.length) return;
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
    const logEpoch = opened[0]?.logEpoch ?? '';
    this.#isKnownLog = logEpoch === spool.downlinkPosition(0).logEpoch;
    spool.startAt({ logEpoch, lanes });
    spool.resume(through);
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
    const verdicts = this.#lanes.map((lane) => lane.tick());
    const silent = verdicts.indexOf('silent');
    const stuck = verdicts.indexOf('stuck');
    this.#meter.look();
    if (!this.control.tick()) this.#silent('core', 'of the core');
    else if (silent >= 0) this.#silent('lane', `on lane ${silent}`);
    else if (stuck >= 0) this.#stuck(stuck);
  }

  #stuck(lane: number): void {
    if (this.#reason === null) this.#handlers.stuck();
    this.end(`nothing went out on lane ${lane} for ${drainMs / 1_000} s`);
  }

  #silent(what: 'core' | 'lane', where: string): void {
    if (this.#reason === null) this.#handlers.silent(what);
    this.end(`nothing was heard ${where} for too long`);
  }
}
