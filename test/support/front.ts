/** The core's doors for tests: session index, fleet engine and front door over a fan-out in memory,
 * and gRPC clients whose messages can be awaited one by one. */

import {
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { type Clock, systemClock } from '../../base/clock.ts';
import { Ledger } from '../../base/ledger.ts';
import { createLog } from '../../base/log.ts';
import { Metrics } from '../../base/metrics.ts';
import { FleetEngine } from '../../core/fleet/fleet-engine.ts';
import { nameOnly } from '../../core/fleet/session-watch.ts';
import {
  type FrontDoorOptions,
  type FrontDoorParts,
  openFrontDoor,
} from '../../core/frontdoor/front-door.ts';
import { SessionIndex } from '../../core/sessions/session-index.ts';
import { FleetServiceClient } from '../../proto/gen/trunkline/v1/fleet.ts';
import {
  type AttachRequest,
  type AttachResponse,
  GatewayServiceClient,
} from '../../proto/gen/trunkline/v1/gateway.ts';
import type { Publication } from '../../proto/gen/trunkline/v1/publication.ts';
import { type Session, SessionState } from '../../proto/gen/trunkline/v1/session.ts';
import { FakeFanout } from './fake-fanout.ts';
import { known } from './known.ts';

export function quietParts() {
  const metrics = new Metrics();
  const log = createLog({ level: 'silent', format: 'json', tier: 'test' });
  return { log, metrics, clock: systemClock, ledger: new Ledger(metrics) };
}

export function fleetParts() {
  const parts = quietParts();
  const sessions = new SessionIndex(parts);
  return { ...parts, sessions, fleet: new FleetEngine({ ...parts, index: sessions }) };
}

export async function openTestFront(
  options: Partial<FrontDoorOptions> = {},
  clock: Clock = systemClock,
  more: Pick<FrontDoorParts, 'rights'> = {},
) {
  const parts = { ...fleetParts(), clock, fanout: new FakeFanout(), ...more };
  const door = await openFrontDoor(parts, {
    host: '127.0.0.1',
    port: 0,
    token: '',
    operatorToken: '',
    coreId: 'core-1',
    devicesMax: 100,
    ...options,
  });
  const address = `127.0.0.1:${door.port}`;
  const gateways = new GatewayServiceClient(address, credentials.createInsecure());
  const operators = new FleetServiceClient(address, credentials.createInsecure());
  return {
    ...parts,
    door,
    address,
    gateways,
    operators,
    close: async () => {
      gateways.close();
      operators.close();
      await door.close();
    },
  };
}

export type TestFront = Awaited<ReturnType<typeof openTestFront>>;

export function bearer(token: string): Metadata {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

export function session(clientId: string, more: Partial<Session> = {}): Session {
  return {
    ...nameOnly(''),
    clientId,
    edgeId: 'edge-1',
    gatewayId: '',
    state: SessionState.CONNECTED,
    protocol: '3.1.1',
    listener: 'mqtt',
    remoteAddress: '127.0.0.1:5000',
    username: '',
    cleanStart: true,
    keepAliveSeconds: 60,
    connectedAtMs: 1_000,
    disconnectedAtMs: 0,
    disconnectReason: '',
    subscriptions: [],
    subscriptionCount: 0,
    queueMessages: 0,
    inflightMessages: 0,
    receivedMessages: 0,
    deliveredMessages: 0,
    droppedMessages: 0,
    region: '',
    sessionExpirySeconds: 0,
    willPresent: false,
    receiveMaximum: 0,
    disconnectedBy: '',
    queueOldestAtMs: 0,
    receivedRate: 0,
    deliveredRate: 0,
    keepAliveMarginMs: 0,
    drops: [],
    updatedAtMs: 0,
    ...more,
  };
}

export function row(topic: string, text: string, more: Partial<Publication> = {}): Publication {
  const payload = Buffer.from(text);
  return { topic, payload, qos: 0, retain: false, properties: Buffer.alloc(0), ...more };
}

/** Messages of a stream, to be awaited in order; its end is a status. */
export class Inbox<T> {
  readonly #stream: ClientReadableStream<T> | ClientDuplexStream<never, T>;
  readonly #messages: T[] = [];
  #wake: () => void = () => {};
  /** How the stream ended: 0 for well. */
  readonly ended: Promise<{ code: number; details: string }>;

  constructor(stream: ClientReadableStream<T> | ClientDuplexStream<never, T>) {
    this.#stream = stream;
    stream.on('data', (message: T) => {
      this.#messages.push(message);
      this.#wake();
    });
    this.ended = new Promise((resolve) => {
      stream.on('error', ({ code, details }: ServiceError) => resolve({ code, details }));
      stream.on('end', () => resolve({ code: 0, details: '' }));
    });
  }

  async next(): Promise<T> {
    while (this.#messages.length === 0) {
      await new Promise<void>((resolve, reject) => {
        const guard = setTimeout(() => reject(new Error('no message within 5 s')), 5_000);
        this.#wake = () => {
          clearTimeout(guard);
          resolve();
        };
      });
    }
    return this.#messages.shift() as T;
  }

  get waiting(): number {
    return this.#messages.length;
  }

  cancel(): void {
    this.#stream.cancel();
  }
}

type Request = NonNullable<AttachRequest['message']>;
type Answer = NonNullable<AttachResponse['message']>;

/** An attached gateway. */
export class TestGateway {
  readonly call: ClientDuplexStream<AttachRequest, AttachResponse>;
  readonly inbox: Inbox<AttachResponse>;

  constructor(front: TestFront, metadata = new Metadata()) {
    this.call = front.gateways.attach(metadata);
    this.inbox = new Inbox(this.call as unknown as ClientDuplexStream<never, AttachResponse>);
  }

  static async attach(front: TestFront, gatewayId: string): Promise<TestGateway> {
    const gateway = new TestGateway(front);
    gateway.send('hello', { gatewayId });
    await gateway.expect('welcome');
    return gateway;
  }

  send<C extends Request['$case']>(kind: C, value: Extract<Request, { $case: C }>['value']): void {
    this.call.write({ message: { $case: kind, value } as Request });
  }

  /** The next answer, which must be of that kind. */
  async expect<C extends Answer['$case']>(
    kind: C,
  ): Promise<Extract<Answer, { $case: C }>['value']> {
    const { message } = await this.inbox.next();
    if (message?.$case !== kind) {
      throw new Error(`expected ${kind}, got ${JSON.stringify(message)}`);
    }
    return known(message.value) as never;
  }

  async open(clientId: string, will?: Publication): Promise<void> {
    this.send('open', { clientId, will });
    await this.expect('opened');
  }

  async subscribe(clientId: string, filter: string, qos = 0): Promise<void> {
    this.send('subscribe', { clientId, subscriptions: [{ filter, qos }] });
    await this.expect('subscribed');
  }

  async end(): Promise<void> {
    this.call.end();
    await this.inbox.ended;
  }
}

/** Time that stands still until `pass`; wall time is the system's. */
export class HandClock implements Clock {
  readonly #timers = new Set<{ at: number; everyMs: number | null; fn: () => void }>();
  #time = 0;

  now(): number {
    return Date.now();
  }

  elapsed(): number {
    return this.#time;
  }

  after(ms: number, fn: () => void): () => void {
    return this.#arm({ at: this.#time + ms, everyMs: null, fn });
  }

  every(ms: number, fn: () => void): () => void {
    return this.#arm({ at: this.#time + ms, everyMs: ms, fn });
  }

  pass(ms: number): void {
    this.#time += ms;
    for (const timer of [...this.#timers]) {
      if (timer.at > this.#time) continue;
      if (timer.everyMs === null) this.#timers.delete(timer);
      else timer.at = this.#time + timer.everyMs;
      timer.fn();
    }
  }

  #arm(timer: { at: number; everyMs: number | null; fn: () => void }): () => void {
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
}

/** Resolves when the condition holds; looks again on every turn. */
export async function until(condition: () => boolean): Promise<void> {
  const guard = performance.now() + 5_000;
  while (!condition()) {
    if (performance.now() > guard) throw new Error('condition did not come to hold within 5 s');
    await new Promise((resolve) => setImmediate(resolve));
  }
}
