/** The edge's end of one lane stream: opens it, keeps it alive, and feeds both directions. */
import type { ClientDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '../base/clock.ts';
import { DrainWatch } from '../base/drain-watch.ts';
import { heartbeatMs } from '../base/limits.ts';
import { Liveness } from '../base/liveness.ts';
import type { Batch } from '../proto/gen/trunkline/v1/publication.ts';
import type {
  LaneOpen,
  LaneOpened,
  LaneRequest,
  LaneResponse,
} from '../proto/gen/trunkline/v1/trunk.ts';
import { type Sequenced, TopicDecoder } from '../proto/wire.ts';
import type { LaneDownlink } from './lane-downlink.ts';
import { LaneUplink, type LaneUplinkParts, type LinkShare } from './lane-uplink.ts';
import type { EdgeRules } from './rules/edge-rules.ts';

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
  readonly share: LinkShare;
  readonly handlers: LaneHandlers;
}

/** Silent: nothing was heard for too long. Stuck: nothing went out for too long. */
export type LaneVerdict = 'fine' | 'silent' | 'stuck';

export class Lane {
  readonly uplink: LaneUplink;
  readonly #clock: Clock;
  readonly #rules: EdgeRules;
  readonly #call: ClientDuplexStream<LaneRequest, LaneResponse>;
  readonly #ends: LaneEnds;
  readonly #decoder = new TopicDecoder();
  readonly #liveness: Liveness;
  readonly #drain: DrainWatch;
  readonly #asked: LaneOpen;
  readonly #moved = () => this.#drain.moved();
  #opened: LaneOpened | null = null;
  #isEnded = false;

  constructor(
    parts: LaneUplinkParts,
    call: ClientDuplexStream<LaneRequest, LaneResponse>,
    context: LaneEnds & { open: LaneOpen },
  ) {
    this.#clock = parts.clock;
    this.#rules = parts.rules;
    this.#call = call;
    this.#ends = context;
    this.#asked = context.open;
    this.#liveness = new Liveness(parts.clock, context.heartbeatMs || heartbeatMs);
    this.#drain = new DrainWatch(parts.clock);
    const { handlers, share } = context;
    const write = (message: NonNullable<LaneRequest['message']>) => this.#write(message);
    this.uplink = new LaneUplink(parts, context.open.lane, {
      outlet: { write, fail: handlers.fail },
      share,
    });
    call.on('data', (response: LaneResponse) => this.#received(response));
    call.on('drain', () => {
      this.#drain.drained();
      this.uplink.drained();
    });
    call.on('end', () => handlers.fail(`the core closed lane ${context.open.lane}`));
    call.on('error', (error: Error) => handlers.fail(error.message));
    this.#write({ $case: 'open', value: context.open });
  }

  /** What the core answered; null before. */
  get opened(): LaneOpened | null {
    return this.#opened;
  }

  tick(): LaneVerdict {
    const verdict = this.#liveness.tick();
    if (verdict === 'speak') {
      this.#write({ $case: 'heartbeat', value: { sentAtMs: this.#clock.now(), echoMs: 0 } });
    }
    if (verdict === 'dead') return 'silent';
    return this.#drain.isOverdue ? 'stuck' : 'fine';
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
    if (this.#isEnded) return;
    this.#liveness.heard();
    switch (message?.$case) {
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
      const items = this.#decoder.decode(batch, { now, origin: coreId });
      downlink.take(batch, this.#rules.incoming(this.#withEchoes(batch, items)));
    } catch (error) {
      handlers.malformed(error instanceof Error ? error.message : String(error));
    }
  }

  /** What this edge sent itself comes back where several write to a topic: state, not news. */
  #withEchoes(batch: Batch, items: readonly Sequenced[]): readonly Sequenced[] {
    const { edgeId } = this.#asked;
    if (!batch.origins.includes(edgeId)) return items;
    return items.map((item) => {
      const { publication, sequence } = item;
      const isEcho = sequence > 0 && publication.origin === edgeId;
      return isEcho ? { sequence: 0, publication } : item;
    });
  }

  #write(message: NonNullable<LaneRequest['message']>): boolean {
    if (this.#isEnded) return true;
    this.#liveness.said();
    const isWritable = this.#call.write({ message }, this.#moved);
    this.#drain.wrote(isWritable);
    return isWritable;
  }
}
