/**
 * Connections on their way to one worker, in order. Node passes one socket at a time and waits for
 * the worker's word before the next, so that they wait here; also while the worker is away, for as
 * long as a connection may take to say who it is.
 */
import type { ChildProcess } from 'node:child_process';
import { BoundedQueue } from '../../base/bounded-queue.ts';
import type { Caller } from './caller.ts';
import type { Order } from './messages.ts';

/** A storm of ordinary CONNECTs is far below; it bounds what hostile ones can make us hold. */
const bytesMax = 16 * 1024 * 1024;
/** Enough for Node to have the next one at hand. */
const leavingMax = 4;

export class HandoverQueue {
  readonly #waiting: BoundedQueue<Caller>;
  #child: ChildProcess | null = null;
  /** Not confirmed by the worker, in order. */
  #leaving: Caller[] = [];
  #confirmed = 0;

  constructor(countMax: number) {
    this.#waiting = new BoundedQueue({
      ...{ countMax, bytesMax },
      bytesOf: (caller) => caller.head.length,
    });
  }

  offer(caller: Caller): void {
    if (this.#waiting.offer(caller)) this.#pump();
    else caller.refuse('overloaded');
  }

  /** The worker takes connections. */
  attach(child: ChildProcess): void {
    this.#child = child;
    this.#confirmed = 0;
    this.#pump();
  }

  /** The worker has taken so many since it was attached. */
  took(count: number): void {
    for (const caller of this.#leaving.splice(0, count - this.#confirmed)) caller.given();
    this.#confirmed = count;
    this.#pump();
  }

  /** The worker is gone; what was on its way to it is lost, what waits goes to the next one. */
  detach(): void {
    this.#child = null;
    for (const caller of this.#leaving.splice(0)) caller.refuse('worker-away');
  }

  #pump(): void {
    while (this.#child !== null && this.#leaving.length < leavingMax) {
      const caller = this.#waiting.take();
      if (caller === undefined) return;
      if (!caller.isOver) this.#send(this.#child, caller);
    }
  }

  #send(child: ChildProcess, caller: Caller): void {
    const { listener, head, socket } = caller;
    const order: Order = { order: 'arrival', listener, head: head.toString('base64') };
    this.#leaving.push(caller);
    child.send(order, socket, { keepOpen: true }, (error) => {
      // A channel that broke is a worker that ends: `detach` is about to come.
      if (error === null) caller.sent();
    });
  }
}
