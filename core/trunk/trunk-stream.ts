/**
 * A server's end of one trunk stream: messages in, messages out, one end. The first message has to
 * come in time; after the end nothing is read or written any more.
 */
import { type ServerDuplexStream, status } from '@grpc/grpc-js';
import type { Clock } from '../../base/clock.ts';
import { connectMs } from '../../base/limits.ts';
import { type CallStatus, endCall } from '../grpc/status.ts';

export interface TrunkStreamHandlers<Request> {
  /** Throws to refuse; the stream then ends with what was thrown. */
  readonly message: (request: Request) => void;
  readonly drained: () => void;
  /** Once, whoever ended it. */
  readonly ended: (reason: string) => void;
}

export class TrunkStream<Request, Response> {
  readonly #call: ServerDuplexStream<Request, Response>;
  readonly #handlers: TrunkStreamHandlers<Request>;
  readonly #cancelDeadline: () => void;
  #hasSpoken = false;
  #isEnded = false;

  constructor(
    clock: Clock,
    call: ServerDuplexStream<Request, Response>,
    handlers: TrunkStreamHandlers<Request>,
  ) {
    this.#call = call;
    this.#handlers = handlers;
    this.#cancelDeadline = clock.after(connectMs, () => {
      if (this.#hasSpoken) return;
      const details = `The first message did not come within ${connectMs} ms.`;
      this.end({ code: status.DEADLINE_EXCEEDED, details });
    });
    call.on('data', (request: Request) => this.#received(request));
    call.on('drain', () => {
      if (!this.#isEnded) handlers.drained();
    });
    call.on('end', () => {
      if (this.#finish('closed by the edge')) call.end();
    });
    call.on('cancelled', () => this.#finish('connection lost'));
    call.on('error', (error: Error) => this.#finish(error.message));
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** False when the buffer is full, until `drained`; calls back when it went out. */
  write(response: Response, moved?: () => void): boolean {
    return this.#isEnded || this.#call.write(response, moved);
  }

  end(end: CallStatus): void {
    if (!this.#finish(end.details)) return;
    endCall(this.#call, end);
  }

  #received(request: Request): void {
    if (this.#isEnded) return;
    this.#hasSpoken = true;
    this.#cancelDeadline();
    this.#handlers.message(request);
  }

  #finish(reason: string): boolean {
    if (this.#isEnded) return false;
    this.#isEnded = true;
    this.#cancelDeadline();
    this.#handlers.ended(reason);
    return true;
  }
}
