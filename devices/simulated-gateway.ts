/**
 * A gateway that speaks for constrained devices: one Attach stream with many device sessions inside.
 * It opens them, subscribes each to its commands, publishes their readings at a steady rate and
 * acknowledges what is delivered. A stream that ends is opened anew, with growing waits.
 */
import { type ClientDuplexStream, Metadata } from '@grpc/grpc-js';
import { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import {
  type AttachRequest,
  type AttachResponse,
  GatewayServiceClient,
} from '../proto/gen/trunkline/v1/gateway.ts';
import { channelOf } from '../proto/tls-credentials.ts';
import { Pacer } from './pacer.ts';
import { type FleetMix, profileAt } from './profiles/profiles.ts';
import { nextMessage } from './simulated-device.ts';

/** Requests not yet answered, past which the gateway waits. */
const unansweredMax = 256;

const tickMs = 20;

export interface SimulatedGatewayOptions {
  /** Front door: host:port, or https://host:port. */
  readonly address: string;
  /** Bearer token; empty for none. */
  readonly token: string;
  readonly id: string;
  readonly devices: number;
  /** Messages a second over all its devices. */
  readonly rate: number;
  readonly mix: FleetMix;
  readonly seed: number;
}

/** What happened since it was opened. */
export interface GatewayCounts {
  readonly attached: boolean;
  readonly devicesOpen: number;
  readonly published: number;
  readonly refused: number;
  readonly delivered: number;
  readonly reconnects: number;
  /** Why the last stream ended; empty while it stands. */
  readonly fault: string;
}

interface AttachedDevice {
  readonly id: string;
  readonly profile: ReturnType<typeof profileAt>;
  readonly seed: number;
  counter: number;
  isOpen: boolean;
}

type Call = ClientDuplexStream<AttachRequest, AttachResponse>;

export class SimulatedGateway {
  readonly #clock: Clock;
  readonly #options: SimulatedGatewayOptions;
  readonly #client: GatewayServiceClient;
  readonly #backoff = new Backoff({ firstMs: 500, maxMs: 5_000 });
  readonly #devices = new Map<string, AttachedDevice>();
  readonly #counts = { published: 0, refused: 0, delivered: 0, reconnects: 0 };
  #call: Call | null = null;
  #cancels: (() => void)[] = [];
  #unanswered = 0;
  #requestId = 0;
  #turn = 0;
  #fault = '';
  #isClosed = false;

  constructor(clock: Clock, options: SimulatedGatewayOptions) {
    this.#clock = clock;
    this.#options = options;
    const channel = channelOf(options.address);
    this.#client = new GatewayServiceClient(channel.address, channel.credentials, channel.options);
    for (let index = 0; index < options.devices; index++) {
      const profile = profileAt(options.mix, index);
      const id = `${profile.name}-${options.id}-${String(index + 1).padStart(3, '0')}`;
      const seed = options.seed + index;
      this.#devices.set(id, { id, profile, seed, counter: 0, isOpen: false });
    }
  }

  get counts(): GatewayCounts {
    const devicesOpen = [...this.#devices.values()].filter((device) => device.isOpen).length;
    return { ...this.#counts, attached: devicesOpen > 0, devicesOpen, fault: this.#fault };
  }

  /** Begins; what goes wrong is mended and shown in `counts`. */
  open(): void {
    if (this.#isClosed || this.#call !== null) return;
    const metadata = new Metadata();
    if (this.#options.token !== '') metadata.set('authorization', `Bearer ${this.#options.token}`);
    const call = this.#client.attach(metadata);
    this.#call = call;
    call.on('data', (response: AttachResponse) => this.#heard(response));
    call.on('error', (error) => this.#ended(call, messageOf(error)));
    call.on('end', () => this.#ended(call, 'the core ended the stream'));
    call.write({ message: { $case: 'hello', value: { gatewayId: this.#options.id } } });
  }

  /** Closes every device in order, then the stream. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#cancelAll();
    const call = this.#call;
    if (call !== null) await this.#sayGoodbye(call);
    this.#client.close();
  }

  #sayGoodbye(call: Call): Promise<void> {
    return new Promise((resolve) => {
      // A core that does not answer the end of the stream must not hold the gateway up.
      const cancel = this.#clock.after(1_000, () => {
        call.cancel();
        resolve();
      });
      call.once('status', () => {
        cancel();
        resolve();
      });
      for (const { id, isOpen } of this.#devices.values()) {
        if (!isOpen) continue;
        call.write({ message: { $case: 'close', value: { clientId: id, withWill: false } } });
      }
      call.end();
    });
  }

  #heard({ message }: AttachResponse): void {
    switch (message?.$case) {
      case 'welcome':
        this.#welcomed();
        return;
      case 'opened':
        this.#deviceOpened(message.value.clientId);
        return;
      case 'closed':
        this.#markOpen(message.value.clientId, false);
        return;
      case 'published': {
        const refused = message.value.refusals.filter((refusal) => refusal !== '').length;
        this.#unanswered--;
        this.#counts.refused += refused;
        this.#counts.published += message.value.refusals.length - refused;
        return;
      }
      case 'delivery': {
        const { clientId, deliveryId, publications } = message.value;
        this.#counts.delivered += publications.length;
        this.#send({ $case: 'ack', value: { clientId, throughDeliveryId: deliveryId } });
        return;
      }
      default:
        return;
    }
  }

  #welcomed(): void {
    this.#backoff.reset();
    this.#fault = '';
    this.#unanswered = 0;
    for (const { id } of this.#devices.values()) {
      this.#send({ $case: 'open', value: { clientId: id, will: undefined } });
    }
    const startedAt = this.#clock.elapsed();
    const pacer = new Pacer({ perSecond: this.#options.rate, startedAt });
    this.#cancels.push(this.#clock.every(tickMs, () => this.#publish(pacer)));
  }

  #deviceOpened(clientId: string): void {
    this.#markOpen(clientId, true);
    const device = this.#devices.get(clientId);
    if (device === undefined) return;
    const filter = `fleet/${device.profile.name}/${clientId}/command`;
    this.#send({
      $case: 'subscribe',
      value: { clientId, subscriptions: [{ filter, qos: 1 }] },
    });
  }

  #markOpen(clientId: string, isOpen: boolean): void {
    const device = this.#devices.get(clientId);
    if (device !== undefined) device.isOpen = isOpen;
  }

  #publish(pacer: Pacer): void {
    const due = pacer.take(this.#clock.elapsed());
    const open = [...this.#devices.values()].filter((device) => device.isOpen);
    for (let i = 0; i < due && open.length > 0 && this.#unanswered < unansweredMax; i++) {
      const device = open[this.#turn++ % open.length] as AttachedDevice;
      const { topic, payload } = nextMessage(device, ++device.counter);
      const publication = {
        topic,
        payload: Buffer.from(payload),
        qos: 1,
        retain: false,
        properties: Buffer.alloc(0),
      };
      const requestId = ++this.#requestId;
      this.#unanswered++;
      this.#send({
        $case: 'publish',
        value: { clientId: device.id, requestId, publications: [publication] },
      });
    }
  }

  #send(message: AttachRequest['message']): void {
    this.#call?.write({ message });
  }

  #ended(call: Call, fault: string): void {
    if (this.#call !== call) return;
    this.#call = null;
    this.#cancelAll();
    for (const device of this.#devices.values()) device.isOpen = false;
    if (this.#isClosed) return;
    this.#fault = fault;
    this.#counts.reconnects++;
    this.#cancels.push(this.#clock.after(this.#backoff.next(), () => this.open()));
  }

  #cancelAll(): void {
    for (const cancel of this.#cancels.splice(0)) cancel();
  }
}
