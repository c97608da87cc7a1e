/**
 * Whether the client is read. It is not while its input waits for something here, nor while it has
 * sent more than its rates allow: it is slowed down by what TCP does with a reader that stops, and
 * loses nothing. What is over a rate is a debt that time pays.
 */
import type { Duplex } from 'node:stream';

export interface Rates {
  /** PUBLISH a second, and bytes; 0 for no bound. */
  readonly messages: number;
  readonly bytes: number;
  /** The client is made to wait. */
  readonly onSlowed: (by: 'messages' | 'bytes') => void;
}

export class InputValve {
  readonly #socket: Duplex;
  readonly #rates: Rates | null;
  readonly #onOpen: () => void;
  #isPaused = false;
  #received = 0;
  #messages: number;
  #bytes: number;
  #filledAt = performance.now();
  #timer: NodeJS.Timeout | null = null;

  /** `onOpen` is called when the debt is paid. */
  constructor(socket: Duplex, rates: Rates | null, onOpen: () => void) {
    this.#socket = socket;
    this.#rates = rates;
    this.#onOpen = onOpen;
    this.#messages = rates?.messages ?? 0;
    this.#bytes = rates?.bytes ?? 0;
  }

  /** Input waits for something here, so silence is not the client's. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** The client is in debt. */
  get isShut(): boolean {
    return this.#timer !== null;
  }

  pause(isPaused: boolean): void {
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    if (isPaused) this.#socket.pause();
    else this.#socket.resume();
  }

  /** `received` is how many PUBLISH the client has sent in all. */
  spend(received: number, bytes: number): void {
    if (this.#rates === null) return;
    this.#fill(this.#rates);
    this.#messages -= received - this.#received;
    this.#received = received;
    this.#bytes -= bytes;
    const forMessages = waitMs(this.#messages, this.#rates.messages);
    const forBytes = waitMs(this.#bytes, this.#rates.bytes);
    const ms = Math.max(forMessages, forBytes);
    if (ms === 0 || this.#timer !== null) return;
    this.#rates.onSlowed(forMessages >= forBytes ? 'messages' : 'bytes');
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#onOpen();
    }, ms);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** A second's worth may be saved up. */
  #fill(rates: Rates): void {
    const now = performance.now();
    const seconds = (now - this.#filledAt) / 1_000;
    this.#filledAt = now;
    this.#messages = Math.min(rates.messages, this.#messages + seconds * rates.messages);
    this.#bytes = Math.min(rates.bytes, this.#bytes + seconds * rates.bytes);
  }
}

function waitMs(left: number, perSecond: number): number {
  return perSecond === 0 || left >= 0 ? 0 : Math.ceil((-left / perSecond) * 1_000);
}
