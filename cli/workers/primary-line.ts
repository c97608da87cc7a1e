/** A worker's end of the IPC channel to the process that supervises it. */
import { Socket } from 'node:net';
import type { ListenerName } from '../../broker/listeners.ts';
import type { Charge, Order, Report, Took } from './messages.ts';

/** A connection of a device, accepted elsewhere; `head` are the bytes that were read from it. */
export interface Handed {
  readonly listener: ListenerName;
  readonly socket: Socket;
  readonly head: Buffer;
}

export interface PrimaryLineHooks {
  readonly arrived: (handed: Handed) => void;
  readonly report: () => Omit<Report, 'report'>;
}

export class PrimaryLine {
  /** Comes first; made before anybody else listens, so that it is not missed. */
  readonly charge: Promise<Charge>;
  #hooks: PrimaryLineHooks | null = null;
  #took = 0;
  #setCharge: (charge: Charge) => void = () => {};

  constructor() {
    this.charge = new Promise((resolve) => {
      this.#setCharge = resolve;
    });
    process.on('message', (message, handle) => {
      const isOrder = typeof message === 'object' && message !== null && 'order' in message;
      if (isOrder) this.#take(message as Order, handle);
    });
  }

  /** From now on connections are taken. */
  attach(hooks: PrimaryLineHooks): void {
    this.#hooks = hooks;
  }

  /** From now on they are turned away: whoever sent them will find another worker. */
  detach(): void {
    this.#hooks = null;
  }

  #take(order: Order, handle: unknown): void {
    switch (order.order) {
      case 'charge':
        this.#setCharge(order.charge);
        break;
      case 'arrival':
        this.#arrive(order, handle);
        break;
      case 'report': {
        if (this.#hooks !== null) this.#tell({ report: order.number, ...this.#hooks.report() });
      }
    }
  }

  #tell(word: Report | Took): void {
    if (process.connected) process.send?.(word, undefined, undefined, () => {});
  }

  #arrive(order: Order & { order: 'arrival' }, socket: unknown): void {
    this.#took++;
    this.#tell({ took: this.#took });
    // A device that left meanwhile has no handle any more.
    if (!(socket instanceof Socket)) return;
    if (this.#hooks === null) {
      socket.destroy();
      return;
    }
    const { listener, head } = order;
    this.#hooks.arrived({ listener, socket, head: Buffer.from(head, 'base64') });
  }
}
