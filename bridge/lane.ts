/** The edge's end of one lane stream: opens it, keeps it alive, and feeds both directions. */
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '../base/clock.ts';
import { heartbeatMs } from '../base/limits.ts';
import { Liveness } from '../base/liveness.ts';
import type { Batch } from '../proto/gen/trunkline/v1/publication.ts';
import type {
  LaneOpen,
  LaneOpened,
  LaneRequest,
  LaneResponse,
} from '../proto/gen/trunkline/v1/trunk.ts';
import { TopicDecoder } from '../proto/wire.ts';
import type { LaneDownlink } from './lane-downlink.ts';
import { LaneUplink, type LaneUplinkParts } from './lane-uplink.ts';

export interface LaneHandlers {
  readonly opened: () => void;
  readonly reached: (version: number) => void;
  /** A frame that can't be taken apart. */
  readonly malformed: (reason: string) => void;
  readonly fail: (reason: string) => void;
}

export interface LaneEnds {
  readonly downlink: LaneDownlink;
  readonly coreId: string;
  readonly heartbeatMs: number;
  readonly handlers: LaneHandlers;
}

export class Lane {
  readonly uplink: LaneUplink;
  readonly #clock: Clock;
  readonly #call: ClientDuplexStream<LaneRequest, LaneResponse>;
  readonly #ends: LaneEnds;
  readonly #decoder = new TopicDecoder();
  readonly #liveness: Liveness;
  readonly #asked: LaneOpen;
  #opened: LaneOpened | null = null;
  #isEnded = false;

  constructor(
    parts: LaneUplinkParts,
    call: ClientDuplexStream<LaneRequest, LaneResponse>,
    context: LaneEnds & { open: LaneOpen },
  ) {
    this.#clock = parts.clock;
    this.#call = call;
    this.#ends = context;
    this.#asked = context.open;
    this.#liveness = new Liveness(parts.clock, context.heartbeatMs || heartbeatMs);
    const { handlers } = context;
    this.uplink = new LaneUplink(parts, context.open.lane, {
      write: (message) => this.#write(message),
      fail: handlers.fail,
    });
    call.on('data', (response: LaneResponse) => this.#received(response));
    call.on('drain', () => this.uplink.drained());
    call.on('end', () => handlers.fail(`the core closed lane ${context.open.lane}`));
    call.on('error', (error: Error) => handlers.fail(error.message));
    this.#write({ $case: 'open', value: context.open });
  }

  /** What the core answered; null before. */
  get opened(): LaneOpened | null {
    return this.#opened;
  }

  /** False when the core has fallen silent on this lane. */
  tick(): boolean {
    const verdict = this.#liveness.tick();
    if (verdict === 'speak') {
      this.#write({ $case: 'heartbeat', value: { sentAtMs: this.#clock.now(), echoMs: 0 } });
    }
    return verdict !== 'dead';
  }

  /** The core's log is the one that this edge knows, and ends before what this edge has had of it. */
  get isSetBack(): boolean {
    const { logEpoch, position } = this.#asked;
    return this.#opened?.logEpoch === logEpoch && this.#opened.position < position;
  }

  /** Every lane is open: what the spool holds may go up. */
  start(): void {
    if (this.#opened !== null) this.uplink.open(this.#opened);
  }

  async end(): Promise<void> {
    if (!this.#isEnded) {
      this.#isEnded = true;
      this.#ends.downlink.detach();
      this.#call.cancel();
    }
    await this.uplink.close();
  }

  #received(response: LaneResponse): void {
    const { message } = response;
    if (this.#isEnded || message === undefined) return;
    this.#liveness.heard();
    switch (message.$case) {
      case 'opened':
        this.#open(message.value);
        break;
      case 'batch':
        this.#take(message.value);
        break;
      case 'watermark':
        this.uplink.acknowledge(message.value.throughSequence);
        break;
      case 'credit':
        this.uplink.grant(message.value.bytes);
        break;
      case 'interestReached': {
        const { version } = message.value;
        // The retained messages before it may still be on their way into the broker.
        this.#ends.downlink.whenDelivered(() => this.#ends.handlers.reached(version));
        break;
      }
      case 'heartbeat':
        break;
    }
  }

  #open(opened: LaneOpened): void {
    if (this.#opened !== null) return;
    this.#opened = opened;
    const { downlink, handlers } = this.#ends;
    const outlet = {
      write: (message: NonNullable<LaneRequest['message']>) => this.#write(message),
    };
    downlink.attach({ ...outlet, fail: handlers.fail }, opened, this.isSetBack);
    handlers.opened();
  }

  #take(batch: Batch): void {
    const { coreId, downlink, handlers } = this.#ends;
    try {
      const now = this.#clock.now();
      downlink.take(batch, this.#decoder.decode(batch, { now, origin: coreId }));
    } catch (error) {
      handlers.malformed(error instanceof Error ? error.message : String(error));
    }
  }

  #write(message: NonNullable<LaneRequest['message']>): boolean {
    if (this.#isEnded) return true;
    this.#liveness.said();
    return this.#call.write({ message });
  }
}
