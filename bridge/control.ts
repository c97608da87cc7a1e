/** The edge's end of the control stream: hello, heartbeats and round trip, and what rides on it. */
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import type { Clock } from '../base/clock.ts';
import { farRoundTripMs, heartbeatMs } from '../base/limits.ts';
import { Liveness } from '../base/liveness.ts';
import type {
  Command,
  CommandResult,
  ControlRequest,
  ControlResponse,
  Heartbeat,
  Hello,
  InterestUpdate,
  Welcome,
} from '../proto/gen/trunkline/v1/trunk.ts';
import { retryOfMetadata } from '../proto/trunk-metadata.ts';

/** Heartbeats of the first moment, one after the other: an end that has just begun takes longer to
 * answer than the way is long. They stop when the way has shown itself to be short. */
const firstBeatsMax = 16;

export interface ControlHandlers {
  readonly welcome: (welcome: Welcome) => void;
  readonly wanted: (update: InterestUpdate) => void;
  readonly command: (command: Command, answer: (result: CommandResult) => void) => void;
  readonly fail: (reason: string) => void;
}

export class Control {
  readonly #clock: Clock;
  readonly #call: ClientDuplexStream<ControlRequest, ControlResponse>;
  readonly #handlers: ControlHandlers;
  #liveness: Liveness;
  #sentAt = { wall: 0, elapsed: 0 };
  #roundTripUs = 0;
  #leastRoundTripMs = 0;
  #firstBeats = 0;
  #retryAfterMs = 0;
  #isWritable = true;
  #isEnded = false;
  #resume: (() => void)[] = [];

  constructor(
    clock: Clock,
    call: ClientDuplexStream<ControlRequest, ControlResponse>,
    handlers: ControlHandlers,
  ) {
    this.#clock = clock;
    this.#call = call;
    this.#handlers = handlers;
    this.#liveness = new Liveness(clock, heartbeatMs);
    call.on('data', (response: ControlResponse) => this.#received(response));
    call.on('drain', () => this.#drained());
    call.on('end', () => handlers.fail('the core closed the control stream'));
    call.on('error', (error: ServiceError) => {
      this.#retryAfterMs = retryOfMetadata(error.metadata);
      handlers.fail(error.message);
    });
  }

  /** Smoothed, in microseconds; 0 until measured. */
  get roundTripUs(): number {
    return Math.round(this.#roundTripUs);
  }

  /** What the way alone takes, however busy both ends are now; 0 until measured. */
  get leastRoundTripMs(): number {
    return this.#leastRoundTripMs;
  }

  /** When a core that refused the stream wants to be asked again; 0 when it did not say. */
  get retryAfterMs(): number {
    return this.#retryAfterMs;
  }

  hello(hello: Hello): void {
    this.write({ $case: 'hello', value: hello });
  }

  write(message: NonNullable<ControlRequest['message']>): void {
    if (this.#isEnded) return;
    this.#isWritable = this.#call.write({ message });
  }

  /** Resolves at once unless the stream's buffer is full; also when it ends. */
  async drained(): Promise<void> {
    if (this.#isWritable || this.#isEnded) return;
    await new Promise<void>((resolve) => this.#resume.push(resolve));
  }

  /** False when the core has fallen silent. Sends a heartbeat when it is time. */
  tick(): boolean {
    const verdict = this.#liveness.tick();
    if (verdict === 'speak') this.#beat();
    return verdict !== 'dead';
  }

  end(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#drained();
    this.#call.cancel();
  }

  #received(response: ControlResponse): void {
    if (this.#isEnded) return;
    this.#liveness.heard();
    const { message } = response;
    switch (message?.$case) {
      case 'welcome':
        this.#liveness = new Liveness(this.#clock, message.value.heartbeatMs || heartbeatMs);
        this.#handlers.welcome(message.value);
        this.#beat();
        break;
      case 'heartbeat':
        this.#measure(message.value);
        break;
      case 'wanted':
        this.#handlers.wanted(message.value);
        break;
      case 'command':
        this.#handlers.command(message.value, (value) => this.write({ $case: 'result', value }));
        break;
    }
  }

  /** Heartbeats alone count as said: they are what the core measures the edge by. */
  #beat(): void {
    this.#liveness.said();
    this.#sentAt = { wall: this.#clock.now(), elapsed: this.#clock.elapsed() };
    this.write({ $case: 'heartbeat', value: { sentAtMs: this.#sentAt.wall, echoMs: 0 } });
  }

  #measure(heartbeat: Heartbeat): void {
    if (heartbeat.echoMs !== this.#sentAt.wall) return;
    const ms = this.#clock.elapsed() - this.#sentAt.elapsed;
    const us = ms * 1_000;
    this.#leastRoundTripMs = this.#roundTripUs === 0 ? ms : Math.min(this.#leastRoundTripMs, ms);
    if (this.#firstBeats < firstBeatsMax) {
      this.#firstBeats++;
      this.#roundTripUs = this.#leastRoundTripMs * 1_000;
      if (this.#leastRoundTripMs > farRoundTripMs) this.#beat();
      else this.#firstBeats = firstBeatsMax;
    } else {
      this.#roundTripUs = this.#roundTripUs * 0.75 + us * 0.25;
    }
  }

  #drained(): void {
    this.#isWritable = true;
    for (const resume of this.#resume.splice(0)) resume();
  }
}
