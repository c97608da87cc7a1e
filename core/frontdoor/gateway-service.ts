/** GatewayService: the four calls of gateways, and all their open streams. */
import { type ServerReadableStream, type sendUnaryData, status } from '@grpc/grpc-js';
import type { Clock } from '../../base/clock.ts';
import { type ErrorCode, TrunklineError } from '../../base/errors.ts';
import type { Ledger } from '../../base/ledger.ts';
import type { Logger } from '../../base/log.ts';
import type { Counter, Metrics } from '../../base/metrics.ts';
import type { Publication } from '../../base/publication.ts';
import type {
  GatewayServiceServer,
  PublishStreamRequest,
  PublishStreamResponse,
} from '../../proto/gen/trunkline/v1/gateway.ts';
import type { Publication as Row } from '../../proto/gen/trunkline/v1/publication.ts';
import type { Fanout } from '../fanout/target.ts';
import { type CallStatus, endCall, statusOf } from '../grpc/status.ts';
import { unary } from '../grpc/unary.ts';
import type { DeviceRegistry } from './device-registry.ts';
import { type CloseReason, publicationsPerMessageMax } from './gateway-devices.ts';
import type { GatewayRights } from './gateway-rights.ts';
import { GatewayStream, type GatewayStreamOptions } from './gateway-stream.ts';
import { type Intake, isRefused, type Refusal } from './intake.ts';
import { checkSubscriptions, type SubscribeCall, SubscriberStream } from './subscriber-stream.ts';

/** Messages of one PublishStream on their way to the log: enough to fill a group commit. */
const messagesUnderWayMax = 16;

const stopping: CallStatus = {
  code: status.UNAVAILABLE,
  details: 'The core is stopping; connect again, to another core if there is one.',
};

const errorCodes: Record<Refusal, ErrorCode> = {
  'topic-invalid': 'topic-invalid',
  'not-authorized': 'not-authorized',
  'qos-invalid': 'protocol',
  'too-large': 'message-too-large',
  'properties-invalid': 'protocol',
};

export interface GatewayServiceParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly ledger: Ledger;
  readonly metrics: Metrics;
  readonly fanout: Fanout;
  readonly intake: Intake;
  readonly registry: DeviceRegistry;
  readonly rights: GatewayRights;
}

export class GatewayService {
  readonly #parts: GatewayServiceParts;
  readonly #options: GatewayStreamOptions;
  readonly #gateways = new Set<GatewayStream>();
  readonly #subscribers = new Set<SubscriberStream>();
  readonly #refused = new Map<CloseReason, Counter>();
  readonly #stopHearing: () => void;
  #subscriberCount = 0;

  constructor(parts: GatewayServiceParts, options: GatewayStreamOptions) {
    this.#parts = parts;
    this.#options = options;
    const { metrics } = parts;
    const takenBack = metrics.counter(
      'trunkline_gateway_subscriptions_taken_back_total',
      'Subscriptions behind gateways that ended because rules do not grant them any more.',
    );
    this.#stopHearing = parts.rights.onChanged(() => takenBack.add(this.#recheck()));
    metrics.gauge('trunkline_gateways', 'Gateway streams attached.', () => this.#gateways.size);
    metrics.gauge(
      'trunkline_gateway_subscribers',
      'Subscribe calls open.',
      () => this.#subscribers.size,
    );
  }

  handlers(): GatewayServiceServer {
    const { log } = this.#parts;
    return {
      publish: unary(log, async ({ publication }) => {
        if (publication === undefined) {
          throw new TrunklineError('protocol', 'publication is missing; a topic is the least.');
        }
        await this.#parts.intake.publish([this.#admitted(publication, 'publication')]);
        return {};
      }),
      publishStream: (call, callback) => this.#publishStream(call, callback),
      subscribe: (call) => this.#subscribe(call),
      attach: (call) => {
        const stream = new GatewayStream(
          call,
          {
            ...this.#parts,
            onEnded: (ended) => this.#gateways.delete(ended),
            onRefused: (reason) => this.#countRefused(reason),
          },
          this.#options,
        );
        this.#gateways.add(stream);
      },
    };
  }

  /** Ends every stream, and with it its sessions. */
  close(): void {
    this.#stopHearing();
    for (const stream of this.#gateways) stream.end(stopping);
    for (const stream of this.#subscribers) stream.end(stopping);
  }

  #publishStream(
    call: ServerReadableStream<PublishStreamRequest, PublishStreamResponse>,
    callback: sendUnaryData<PublishStreamResponse>,
  ): void {
    const progress = { accepted: 0 };
    this.#drain(call, progress).then(
      () => callback(null, progress),
      (error: unknown) => {
        if (call.cancelled) return; // Nobody hears it.
        const ending = statusOf(error, this.#parts.log);
        const before = `${progress.accepted} publications before it were accepted.`;
        callback({ ...ending, details: `${ending.details} ${before}` });
      },
    );
  }

  /** Reads the stream to its end. Throws at the first fault, when all before it is settled. */
  async #drain(
    call: AsyncIterable<PublishStreamRequest>,
    progress: { accepted: number },
  ): Promise<void> {
    const underWay: Promise<unknown>[] = [];
    const settleOne = async () => {
      const fault = await underWay.shift();
      if (fault !== undefined) throw fault;
    };
    try {
      for await (const { publications } of call) {
        const admitted = this.#admittedAll(publications);
        const work = this.#parts.intake.publish(admitted).then(() => {
          progress.accepted += admitted.length;
        });
        // As a value: it is looked at later, and must not count as unhandled until then.
        underWay.push(work.catch((error: unknown) => error));
        if (underWay.length >= messagesUnderWayMax) await settleOne();
      }
      while (underWay.length > 0) await settleOne();
    } finally {
      await Promise.all(underWay);
    }
  }

  #admittedAll(rows: readonly Row[]): Publication[] {
    if (rows.length > publicationsPerMessageMax) {
      throw new TrunklineError(
        'message-too-large',
        `publications has ${rows.length} entries; give at most ${publicationsPerMessageMax} in a message.`,
      );
    }
    return rows.map((row, index) => this.#admitted(row, `publications[${index}]`));
  }

  #admitted(row: Row, path: string): Publication {
    const admission = this.#parts.intake.admit(row, this.#parts.rights.own.grants);
    if (!isRefused(admission)) return admission;
    throw new TrunklineError(errorCodes[admission.refusal], `${path}${admission.detail}.`);
  }

  #subscribe(call: SubscribeCall): void {
    try {
      checkSubscriptions(call.request.subscriptions, this.#parts.rights.own.grants);
    } catch (error) {
      endCall(call, statusOf(error, this.#parts.log));
      return;
    }
    const stream = new SubscriberStream(
      call,
      {
        ...this.#parts,
        holder: this.#parts.rights.own,
        onEnded: (ended) => this.#subscribers.delete(ended),
      },
      { id: `gateway:subscribe/${++this.#subscriberCount}` },
    );
    this.#subscribers.add(stream);
  }

  /** The rules are others; answers how many subscriptions have ended. */
  #recheck(): number {
    let gone = 0;
    for (const stream of this.#gateways) gone += stream.recheck();
    for (const stream of [...this.#subscribers]) gone += stream.recheck();
    return gone;
  }

  #countRefused(reason: CloseReason): void {
    let counter = this.#refused.get(reason);
    if (counter === undefined) {
      counter = this.#parts.metrics.counter(
        'trunkline_gateway_devices_refused_total',
        'Devices of gateways refused or closed for a fault, by reason.',
        { reason },
      );
      this.#refused.set(reason, counter);
    }
    counter.add();
  }
}
