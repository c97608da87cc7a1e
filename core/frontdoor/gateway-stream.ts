/**
 * One attached gateway: hello and welcome, then requests in and answers and deliveries out, at the
 * gateway's pace in both directions. States: greeting, open, finishing (the gateway said its last
 * word, publishes are still under way), ended.
 */
import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import type { Clock } from '../../base/clock.ts';
import { connectMs } from '../../base/limits.ts';
import type { Logger } from '../../base/log.ts';
import type { AttachRequest, AttachResponse } from '../../proto/gen/trunkline/v1/gateway.ts';
import { type CallStatus, endCall } from '../grpc/status.ts';
import type { GatewayDevice } from './gateway-device.ts';
import {
  GatewayDevices,
  type GatewayDevicesOptions,
  type GatewayDevicesParts,
} from './gateway-devices.ts';
import { PacedOutput } from './paced-output.ts';

/** Publishes of one stream under way: enough for several group commits, and no more memory. */
const publishesMax = 64;
const publishBytesMax = 8 * 1024 * 1024;

const gatewayIdPattern = /^[A-Za-z0-9._-]{1,64}$/;

export type GatewayCall = ServerDuplexStream<AttachRequest, AttachResponse>;

export interface GatewayStreamParts extends Omit<GatewayDevicesParts, 'send' | 'onReady'> {
  readonly clock: Clock;
  readonly log: Logger;
  readonly onEnded: (stream: GatewayStream) => void;
}

export type GatewayStreamOptions = Omit<GatewayDevicesOptions, 'gatewayId' | 'remoteAddress'>;

export class GatewayStream {
  readonly #call: GatewayCall;
  readonly #parts: GatewayStreamParts;
  readonly #options: GatewayStreamOptions;
  readonly #output: PacedOutput<AttachResponse>;
  readonly #cancelHello: () => void;
  readonly #ready = new Set<GatewayDevice>();
  readonly #pauses = new Set<'output' | 'publishes'>();
  #state: 'greeting' | 'open' | 'finishing' | 'ended' = 'greeting';
  #devices: GatewayDevices | null = null;
  #gatewayId = '';
  #publishes = 0;
  #publishBytes = 0;
  #isFlushScheduled = false;

  constructor(call: GatewayCall, parts: GatewayStreamParts, options: GatewayStreamOptions) {
    this.#call = call;
    this.#parts = parts;
    this.#options = options;
    this.#output = new PacedOutput(
      { call, clock: parts.clock },
      {
        onDrain: () => this.#drained(),
        onStall: () =>
          this.end({
            code: status.RESOURCE_EXHAUSTED,
            details: 'The gateway did not read for 30 seconds; attach again and read.',
          }),
      },
    );
    this.#cancelHello = parts.clock.after(connectMs, () =>
      this.end({
        code: status.DEADLINE_EXCEEDED,
        details: `No hello came within ${connectMs / 1000} seconds; send it first.`,
      }),
    );
    call.on('data', (request: AttachRequest) => this.#receive(request));
    call.on('end', () => this.#finish());
    call.on('cancelled', () => this.end(null));
  }

  /** The rules are others; answers how many subscriptions have ended. */
  recheck(): number {
    return this.#devices?.recheck() ?? 0;
  }

  /** Ends the stream and the sessions in it; null when the gateway is gone. */
  end(ending: CallStatus | null): void {
    if (this.#state === 'ended') return;
    this.#leave(ending?.details ?? 'the gateway is gone');
    this.#state = 'ended';
    this.#output.close();
    if (ending !== null) endCall(this.#call, ending);
    this.#parts.onEnded(this);
  }

  #receive(request: AttachRequest): void {
    const { message } = request;
    if (this.#state === 'greeting') this.#greet(message);
    else if (this.#state !== 'open' || this.#devices === null) return;
    else if (message === undefined) this.#fail('message is empty or of a kind unknown here');
    else if (message.$case === 'hello') this.#fail('hello came a second time');
    else {
      const bytes = message.$case === 'publish' ? payloadBytes(message.value.publications) : 0;
      const work = this.#devices.handle(message);
      if (work !== null) this.#await(work, bytes);
    }
  }

  #greet(message: AttachRequest['message']): void {
    if (message?.$case !== 'hello') {
      this.#fail('the first message must be hello');
    } else if (gatewayIdPattern.test(message.value.gatewayId)) {
      this.#open(message.value.gatewayId);
    } else {
      const shown = JSON.stringify(message.value.gatewayId.slice(0, 64));
      this.#fail(
        `hello.gateway_id is ${shown}; give 1 to 64 letters, digits, dots, dashes or underscores`,
      );
    }
  }

  #open(gatewayId: string): void {
    this.#cancelHello();
    this.#state = 'open';
    this.#gatewayId = gatewayId;
    const remoteAddress = this.#call.getPeer();
    const { coreId, devicesMax, inflightMax } = this.#options;
    this.#devices = new GatewayDevices(
      {
        ...this.#parts,
        send: (answer) => this.#send({ message: answer }),
        onReady: (device) => this.#noteReady(device),
      },
      { ...this.#options, gatewayId, remoteAddress },
    );
    this.#parts.log.info({ gateway: gatewayId, remoteAddress }, 'gateway attached');
    this.#send({ message: { $case: 'welcome', value: { coreId, devicesMax, inflightMax } } });
  }

  #fail(detail: string): void {
    this.end({ code: status.INVALID_ARGUMENT, details: `Attach: ${detail}.` });
  }

  /** The gateway said its last word: sessions end, answers under way still go. */
  #finish(): void {
    if (this.#state === 'ended') return;
    this.#leave('the gateway ended the stream');
    this.#state = 'finishing';
    this.#endWhenAnswered();
  }

  #leave(reason: string): void {
    this.#cancelHello();
    this.#ready.clear();
    if (this.#devices === null || this.#state !== 'open') return;
    const fields = { gateway: this.#gatewayId, devices: this.#devices.size, reason };
    this.#parts.log.info(fields, 'gateway detached');
    this.#devices.endAll();
  }

  #endWhenAnswered(): void {
    if (this.#state !== 'finishing' || this.#publishes > 0) return;
    this.#state = 'ended';
    this.#output.close();
    this.#call.end();
    this.#parts.onEnded(this);
  }

  #await(work: Promise<void>, bytes: number): void {
    this.#publishes++;
    this.#publishBytes += bytes;
    if (this.#isPublishing) this.#pause('publishes');
    const done = () => {
      this.#publishes--;
      this.#publishBytes -= bytes;
      if (!this.#isPublishing) this.#resume('publishes');
      this.#endWhenAnswered();
    };
    work.then(done, done);
  }

  get #isPublishing(): boolean {
    return this.#publishes >= publishesMax || this.#publishBytes >= publishBytesMax;
  }

  #send(response: AttachResponse): void {
    if (this.#state === 'ended') return;
    this.#output.write(response);
    // Who does not read answers gets no more of them: they are made by requests.
    if (this.#output.isBlocked) this.#pause('output');
  }

  #noteReady(device: GatewayDevice): void {
    if (this.#state !== 'open') return;
    this.#parts.registry.noteChanged(device);
    this.#ready.add(device);
    this.#scheduleFlush();
  }

  #scheduleFlush(): void {
    if (this.#isFlushScheduled || this.#output.isBlocked) return;
    this.#isFlushScheduled = true;
    setImmediate(() => this.#flush());
  }

  /** One delivery per device and round, so that none waits for another's whole queue. */
  #flush(): void {
    this.#isFlushScheduled = false;
    for (const device of this.#ready) {
      if (this.#output.isBlocked) return;
      this.#ready.delete(device);
      const delivery = device.takeDelivery();
      if (delivery === null) continue;
      this.#ready.add(device);
      this.#send({ message: { $case: 'delivery', value: delivery } });
    }
  }

  #drained(): void {
    this.#resume('output');
    this.#scheduleFlush();
  }

  #pause(reason: 'output' | 'publishes'): void {
    this.#pauses.add(reason);
    this.#call.pause();
  }

  #resume(reason: 'output' | 'publishes'): void {
    if (this.#pauses.delete(reason) && this.#pauses.size === 0) this.#call.resume();
  }
}

function payloadBytes(publications: readonly { readonly payload: Buffer }[]): number {
  return publications.reduce((total, { payload }) => total + payload.length, 0);
}
