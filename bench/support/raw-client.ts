/**
 * One MQTT connection over a bare socket. Frames are found by their lengths in a buffer that the
 * socket reads into again and again; nothing is copied but a frame that a chunk cut in two.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { LoadQos } from './frames.ts';
import { connectFrame, disconnectFrame, subscribeFrame, types, writePuback } from './frames.ts';

const readBytes = 64 * 1024;
const ackBytes = 4;

/** A publication as it lies in the read buffer: valid during the call only. */
export type OnPublication = (buffer: Buffer, payloadStart: number) => void;

export interface RawClientHooks {
  readonly onPublication?: OnPublication;
  readonly onAcks?: (count: number) => void;
  /** All that one read brought has been dealt with. */
  readonly onTurn?: () => void;
}

export class RawClient {
  readonly #socket: Socket;
  readonly #hooks: RawClientHooks;
  readonly #answers: ((code: number) => void)[] = [];
  #carry: Buffer | null = null;
  #acks = Buffer.allocUnsafe(readBytes);
  #acksLength = 0;
  #ackedCount = 0;
  #fault: Error | null = null;

  private constructor(port: number, hooks: RawClientHooks) {
    this.#hooks = hooks;
    this.#socket = connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: {
        buffer: Buffer.allocUnsafe(readBytes),
        callback: (length, buffer) =>
          this.#take(Buffer.from(buffer.buffer, buffer.byteOffset, length)),
      },
    });
    this.#socket.on('error', (error) => {
      this.#fault = error;
    });
    this.#socket.on('close', () => {
      for (const answer of this.#answers.splice(0)) answer(0xff);
    });
  }

  /** Resolves after CONNACK. */
  static async open(
    port: number,
    session: { clientId: string; cleanSession: boolean },
    hooks: RawClientHooks = {},
  ): Promise<RawClient> {
    const client = new RawClient(port, hooks);
    const { clientId, cleanSession } = session;
    const code = await client.#ask(connectFrame(clientId, cleanSession));
    if (code !== 0) throw client.#failed(`${clientId} was not let in (${code})`);
    return client;
  }

  /** Resolves after SUBACK. */
  async subscribe(filters: readonly string[], qos: LoadQos): Promise<void> {
    const code = await this.#ask(subscribeFrame(filters, qos));
    if (code !== qos) throw this.#failed(`a subscription was not granted (${code})`);
  }

  send(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  async close(): Promise<void> {
    if (this.#socket.closed) return;
    const closed = once(this.#socket, 'close');
    this.#socket.end(disconnectFrame());
    await closed;
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed;
  }

  #ask(bytes: Buffer): Promise<number> {
    return new Promise((resolve) => {
      this.#answers.push(resolve);
      this.#socket.write(bytes);
    });
  }

  #failed(what: string): Error {
    return new Error(`The load generator: ${what}.`, { cause: this.#fault });
  }

  #take(chunk: Buffer): boolean {
    const buffer = this.#carry === null ? chunk : Buffer.concat([this.#carry, chunk]);
    const end = this.#frames(buffer);
    // The read buffer is written over, so the cut frame at its end is kept as a copy.
    this.#carry = end === buffer.length ? null : Buffer.from(buffer.subarray(end));
    this.#flushAcks();
    if (this.#ackedCount > 0) this.#hooks.onAcks?.(this.#ackedCount);
    this.#ackedCount = 0;
    this.#hooks.onTurn?.();
    return true;
  }

  /** Deals with whole frames; returns where the first incomplete one begins. */
  #frames(buffer: Buffer): number {
    let at = 0;
    while (at + 2 <= buffer.length) {
      let body = at + 1;
      let length = 0;
      let shift = 0;
      let byte = 0x80;
      while ((byte & 0x80) !== 0 && body < buffer.length) {
        byte = buffer[body++] as number;
        length |= (byte & 0x7f) << shift;
        shift += 7;
      }
      if ((byte & 0x80) !== 0 || body + length > buffer.length) break;
      this.#frame(buffer, buffer[at] as number, body, length);
      at = body + length;
    }
    return at;
  }

  #frame(buffer: Buffer, head: number, body: number, length: number): void {
    switch (head >> 4) {
      case types.publish:
        this.#publication(buffer, head, body);
        break;
      case types.puback:
        this.#ackedCount++;
        break;
      case types.connack:
      case types.suback:
        this.#answers.shift()?.(buffer[body + length - 1] as number);
        break;
    }
  }

  #publication(buffer: Buffer, head: number, body: number): void {
    const topicEnd = body + 2 + buffer.readUInt16BE(body);
    const hasId = (head & 6) !== 0;
    if (hasId) {
      if (this.#acksLength + ackBytes > this.#acks.length) this.#flushAcks();
      writePuback(this.#acks, this.#acksLength, buffer.readUInt16BE(topicEnd));
      this.#acksLength += ackBytes;
    }
    this.#hooks.onPublication?.(buffer, hasId ? topicEnd + 2 : topicEnd);
  }

  #flushAcks(): void {
    if (this.#acksLength === 0) return;
    this.#socket.write(Buffer.from(this.#acks.subarray(0, this.#acksLength)));
    this.#acksLength = 0;
  }
}
