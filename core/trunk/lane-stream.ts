/** One opened lane of an attached edge: both directions, their credits, and its heartbeat. */
import { status } from '@grpc/grpc-js';
import type { Clock } from '../../base/clock.ts';
import { DrainWatch } from '../../base/drain-watch.ts';
import { drainMs, farRoundTripMs, laneCreditBytes } from '../../base/limits.ts';
import { Liveness } from '../../base/liveness.ts';
import type { Logger } from '../../base/log.ts';
import type { Publication } from '../../base/publication.ts';
import { PayloadDeflater } from '../../proto/deflate.ts';
import type { LaneOpen, LaneRequest, LaneResponse } from '../../proto/gen/trunkline/v1/trunk.ts';
import { DownlinkSender, type RetainedSnapshot } from './downlink-sender.ts';
import type { EdgeInterest } from './edge-interest.ts';
import type { LaneOutlet } from './lane-outlet.ts';
import { LogCursor } from './log-cursor.ts';
import { type UplinkParts, UplinkReceiver } from './uplink-receiver.ts';

export interface LaneParts extends UplinkParts {
  readonly log: Logger;
  readonly clock: Clock;
}

export interface LaneContext {
  /** What the edge named at hello. */
  readonly capabilities: ReadonlySet<string>;
  readonly interest: EdgeInterest;
  readonly heartbeatMs: number;
  /** To the edge and back; 0 until it is known. */
  readonly roundTripMs: () => number;
}

export class LaneStream {
  readonly lane: number;
  readonly #parts: LaneParts;
  readonly #outlet: LaneOutlet;
  readonly #receiver: UplinkReceiver;
  readonly #sender: DownlinkSender;
  readonly #liveness: Liveness;
  readonly #drain: DrainWatch;
  readonly #moved = () => this.#drain.moved();
  readonly #cursor: LogCursor;
  #readThrough: number;

  /** Answers the open; `outlet` belongs to this lane from here on. */
  constructor(parts: LaneParts, open: LaneOpen, context: LaneContext & { outlet: LaneOutlet }) {
    const { backplane, clock, fanout, ledger, log } = parts;
    const { edgeId, epoch, lane } = open;
    this.lane = lane;
    this.#parts = parts;
    this.#outlet = context.outlet;
    this.#liveness = new Liveness(clock, context.heartbeatMs);
    this.#drain = new DrainWatch(clock);
    const position = this.#positionOf(open);
    this.#readThrough = position;
    this.#cursor = new LogCursor(
      { log, ledger, backplane, tail: fanout.tail, interest: context.interest },
      {
        edgeId,
        lane,
        position,
        isContended: context.capabilities.has('retained')
          ? (topic) => fanout.isContended(topic)
          : null,
        returnsCanaries: context.capabilities.has('canary'),
        tellsSources: context.capabilities.has('sources'),
        onFailure: (details) => this.#failReading(details),
      },
    );
    const outlet: LaneOutlet = {
      write: (message) => this.#write(message),
      fail: (end) => this.#outlet.fail(end),
    };
    this.#receiver = new UplinkReceiver(parts, { edgeId, epoch, lane }, outlet);
    const deflater = context.capabilities.has('deflate')
      ? new PayloadDeflater(parts.counters, () => context.roundTripMs() > farRoundTripMs)
      : null;
    this.#sender = new DownlinkSender(
      { clock, ledger, cursor: this.#cursor, deflater },
      outlet,
      open,
    );
    const durableThrough = backplane.openSource({ edgeId, epoch }, lane, open.oldestSequence);
    this.#write({
      $case: 'opened',
      value: {
        durableThrough,
        logEpoch: backplane.logEpoch,
        position,
        creditBytes: laneCreditBytes,
      },
    });
  }

  /** The position up to which the edge has done with the log. */
  get readThrough(): number {
    return this.#readThrough;
  }

  /** The position up to which everything was sent, or is not for the edge. */
  get sentThrough(): number {
    return this.#cursor.position;
  }

  /** Throws what the stream has to end with. A kind of a later version is passed over. */
  receive(message: LaneRequest['message']): void {
    this.#liveness.heard();
    switch (message?.$case) {
      case 'batch':
        this.#receiver.receive(message.value);
        break;
      case 'watermark':
        this.#readThrough = Math.max(this.#readThrough, message.value.throughSequence);
        this.#sender.acknowledged(message.value.throughSequence);
        break;
      case 'credit':
        this.#sender.grant(message.value.bytes);
        break;
      case 'open':
      case 'heartbeat':
        break;
    }
  }

  drained(): void {
    this.#drain.drained();
    this.#sender.drained();
  }

  /** The edge's interest is known: the log may go out. */
  start(): void {
    this.#sender.start();
  }

  sendRetained(snapshot: RetainedSnapshot): void {
    this.#sender.sendRetained(snapshot);
  }

  offer(publication: Publication): void {
    this.#sender.offer(publication);
  }

  wake(): void {
    this.#sender.wake();
  }

  /** False when the edge has fallen silent on this lane. */
  tick(): boolean {
    this.#sender.tick();
    const verdict = this.#liveness.tick();
    if (verdict === 'speak') {
      const sentAtMs = this.#parts.clock.now();
      this.#write({ $case: 'heartbeat', value: { sentAtMs, echoMs: 0 } });
    }
    if (this.#drain.isOverdue) {
      this.#parts.counters.lanesStuck.add();
      const details = `Nothing went out on lane ${this.lane} for ${drainMs / 1_000} s.`;
      this.#outlet.fail({ code: status.UNAVAILABLE, details });
    }
    return verdict !== 'dead';
  }

  close(): void {
    this.#receiver.close();
    this.#sender.close();
  }

  /**
   * A new edge starts at the head. One that knows another log, because this one was lost and begun
   * anew, gets all that there is: edges that came back before it have sent up what it may not have.
   */
  #positionOf(open: LaneOpen): number {
    const { backplane } = this.#parts;
    if (open.logEpoch === '') return backplane.head(open.lane);
    if (open.logEpoch !== backplane.logEpoch) return backplane.oldest(open.lane) - 1;
    return open.position;
  }

  #write(message: NonNullable<LaneResponse['message']>): boolean {
    this.#liveness.said();
    const isWritable = this.#outlet.write(message, this.#moved);
    this.#drain.wrote(isWritable);
    return isWritable;
  }

  #failReading(details: string): void {
    this.#outlet.fail({ code: status.UNAVAILABLE, details });
  }
}
