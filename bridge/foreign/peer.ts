/**
 * One MQTT connection, seen by the client: CONNECT and CONNACK, SUBSCRIBE, keep alive, and whole
 * frames of the message flow both ways. Whoever reads too slowly holds up the other end.
 * Source: MQTT 3.1.1 and MQTT 5, sections 3.1 to 3.14.
 */
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import {
  generate,
  type IConnackPacket,
  type IConnectPacket,
  type ISubackPacket,
  type Packet,
  type Parser,
  parser,
} from 'mqtt-packet';
import type { Clock } from '../../base/clock.ts';
import { connectMs } from '../../base/limits.ts';
import { FrameSplitter, packetTypes, typeOf, type Version } from './frames.ts';

export interface PeerHandlers {
  /** PUBLISH or one of its acknowledgements. */
  readonly flow: (frame: Buffer) => void;
  /** Once; nothing comes after it. */
  readonly ended: (reason: string) => void;
  /** The stream takes bytes again. */
  readonly drained: () => void;
}

export interface PeerOptions {
  readonly version: Version;
  /** 0 for none. */
  readonly keepAliveSeconds: number;
  readonly packetBytesMax: number;
}

export interface Subscription {
  readonly filter: string;
  readonly qos: 0 | 1 | 2;
}

export class Peer {
  readonly #clock: Clock;
  readonly #stream: Duplex;
  readonly #options: PeerOptions;
  readonly #handlers: PeerHandlers;
  readonly #splitter: FrameSplitter;
  readonly #parser: Parser;
  readonly #awaited = new Map<string, (packet: Packet) => void>();
  readonly #stopBeating: () => void;
  #fail: (error: Error) => void = () => {};
  readonly #failed: Promise<never>;
  #heardAt: number;
  #reason: string | null = null;

  constructor(clock: Clock, stream: Duplex, of: { options: PeerOptions; handlers: PeerHandlers }) {
    const { options, handlers } = of;
    this.#clock = clock;
    this.#stream = stream;
    this.#options = options;
    this.#handlers = handlers;
    this.#splitter = new FrameSplitter(options.packetBytesMax);
    this.#parser = parser({ protocolVersion: options.version });
    this.#parser.on('packet', (packet) => this.#control(packet));
    this.#parser.on('error', (error) => this.end(error.message));
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    // Nobody may be waiting for an answer when it ends.
    this.#failed.catch(() => {});
    this.#heardAt = clock.elapsed();
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    stream.on('drain', () => handlers.drained());
    stream.on('error', (error) => this.end(error.message));
    stream.on('end', () => this.end('the other end closed the connection'));
    stream.on('close', () => this.end('the connection was closed'));
    const { keepAliveSeconds } = options;
    this.#stopBeating =
      keepAliveSeconds === 0
        ? () => {}
        : clock.every((keepAliveSeconds * 1_000) / 2, () => this.#beat(keepAliveSeconds));
  }

  /** CONNACK, whatever it says. Throws when it does not come. */
  async connect(packet: IConnectPacket): Promise<IConnackPacket> {
    return (await this.#ask(packet, 'connack')) as IConnackPacket;
  }

  /** Reason codes, one for each. */
  async subscribe(
    packetId: number,
    subscriptions: readonly Subscription[],
  ): Promise<readonly number[]> {
    const options = { nl: true, rap: true, rh: 1 };
    const suback = await this.#ask(
      {
        cmd: 'subscribe',
        messageId: packetId,
        subscriptions: subscriptions.map(({ filter, qos }) =>
          this.#options.version === 5 ? { topic: filter, qos, ...options } : { topic: filter, qos },
        ),
      },
      'suback',
    );
    return (suback as ISubackPacket).granted as number[];
  }

  async unsubscribe(packetId: number, filters: readonly string[]): Promise<void> {
    const unsubscriptions = [...filters];
    await this.#ask({ cmd: 'unsubscribe', messageId: packetId, unsubscriptions }, 'unsuback');
  }

  /** False when the stream's buffer is full. */
  send(frame: Buffer): boolean {
    return this.#reason !== null || this.#stream.write(frame);
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Idempotent; the first reason counts. */
  end(reason: string): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.#stopBeating();
    this.#fail(new Error(reason));
    this.#stream.destroy();
    this.#handlers.ended(reason);
  }

  /** Says goodbye, and waits until it is said. */
  async leave(): Promise<void> {
    if (this.#reason !== null) return;
    this.#reason = 'closing';
    this.#stopBeating();
    const closed = once(this.#stream, 'close').catch(() => {});
    const giveUp = this.#clock.after(1_000, () => this.#stream.destroy());
    this.#stream.end(generate({ cmd: 'disconnect' }, { protocolVersion: this.#options.version }));
    this.#stream.resume();
    await closed;
    giveUp();
  }

  async #ask(packet: Packet, answer: string): Promise<Packet> {
    const answered = new Promise<Packet>((resolve) => this.#awaited.set(answer, resolve));
    const cancel = this.#clock.after(connectMs, () =>
      this.end(`no answer to ${packet.cmd.toUpperCase()} within ${connectMs} ms`),
    );
    this.#stream.write(generate(packet, { protocolVersion: this.#options.version }));
    try {
      return await Promise.race([answered, this.#failed]);
    } finally {
      cancel();
      this.#awaited.delete(answer);
    }
  }

  #take(chunk: Buffer): void {
    this.#heardAt = this.#clock.elapsed();
    try {
      this.#splitter.push(chunk);
      for (let frame = this.#splitter.next(); frame !== null; frame = this.#splitter.next()) {
        if (this.#reason !== null) return;
        const type = typeOf(frame);
        if (type >= packetTypes.publish && type <= packetTypes.pubcomp) this.#handlers.flow(frame);
        else this.#parser.parse(frame);
      }
    } catch (error) {
      this.end(error instanceof Error ? error.message : String(error));
    }
  }

  #control(packet: Packet): void {
    if (packet.cmd === 'disconnect') {
      const { reasonCode = 0 } = packet;
      this.end(`the other end sent DISCONNECT with reason code 0x${reasonCode.toString(16)}`);
      return;
    }
    this.#awaited.get(packet.cmd)?.(packet);
  }

  #beat(keepAliveSeconds: number): void {
    const silentMs = this.#clock.elapsed() - this.#heardAt;
    if (silentMs > keepAliveSeconds * 2_000) this.end('nothing was heard for too long');
    else this.#stream.write(generate({ cmd: 'pingreq' }));
  }
}
