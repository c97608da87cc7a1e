/**
 * A connection at the doors, from its acceptance until a worker has it or it is sent away. This
 * process keeps its own hold on the socket until the worker has said that it has one: of what was on
 * its way to a worker that died, nobody else would know.
 */
import assert from 'node:assert';
import type { Socket } from 'node:net';
import { connectMs } from '../../base/limits.ts';
import type { ListenerName } from '../../broker/listeners.ts';

export interface CallerHooks {
  /** Once; with the reason when no worker got it. */
  readonly over: (caller: Caller, refused: string | null) => void;
}

export class Caller {
  readonly socket: Socket;
  readonly listener: ListenerName;
  /** What was read from it; goes with it. */
  head: Buffer = Buffer.alloc(0);
  readonly #hooks: CallerHooks;
  readonly #timer: NodeJS.Timeout;
  #isOver = false;

  constructor(socket: Socket, listener: ListenerName, hooks: CallerHooks) {
    this.socket = socket;
    this.listener = listener;
    this.#hooks = hooks;
    this.#timer = setTimeout(() => this.refuse('connect-timeout'), connectMs);
    socket.on('error', () => {});
    socket.on('close', () => this.refuse('closed-by-client'));
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** What comes from now on stays with the system, for the process that gets the connection. */
  stopReading(): void {
    // A paused socket reads on until its buffer is full; only its handle can be told to stop.
    const { _handle: handle } = this.socket as unknown as { _handle?: { readStop?(): number } };
    assert(typeof handle?.readStop === 'function', 'the handle of a socket can stop reading');
    handle.readStop();
  }

  /** It is on its way: from here on its time is the worker's matter. */
  sent(): void {
    clearTimeout(this.#timer);
  }

  /** A worker has it. */
  given(): void {
    if (this.#isOver) return;
    this.#end(null);
    this.socket.destroy();
  }

  refuse(reason: string): void {
    if (this.#isOver) return;
    this.#end(reason);
    this.socket.destroy();
  }

  #end(refused: string | null): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#hooks.over(this, refused);
  }
}
