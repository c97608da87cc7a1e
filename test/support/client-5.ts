/** MQTT 5 packet by packet: what is sent is said field by field or byte by byte, nothing is hidden. */
import { connect, type Socket } from 'node:net';
import { generate, type IConnackPacket, type Packet, parser } from 'mqtt-packet';

/** A packet as mqtt-packet gives it, with the fields that tests look at. */
export interface Packet5 {
  readonly cmd: string;
  readonly reasonCode?: number;
  readonly sessionPresent?: boolean;
  readonly messageId?: number;
  readonly granted?: readonly number[];
  readonly topic?: string;
  readonly payload?: Buffer;
  readonly qos?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly properties?: Readonly<Record<string, unknown>>;
}

export interface Connect5Options {
  readonly clean?: boolean;
  readonly keepalive?: number;
  readonly username?: string;
  readonly password?: Buffer;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly will?: Readonly<Record<string, unknown>>;
}

const version = { protocolVersion: 5 };

export class Client5 {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  readonly #packets: Packet5[] = [];
  readonly #waiting: ((packet: Packet5) => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    const read = parser(version as never);
    read.on('packet', (packet) => this.#take(packet as Packet5));
    read.on('error', () => socket.destroy());
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => read.parse(chunk));
  }

  static async open(port: number): Promise<Client5> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const client = new Client5(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return client;
  }

  /** Opens and connects; the answer is CONNACK success. */
  static async session(
    port: number,
    clientId: string,
    options: Connect5Options = {},
  ): Promise<Client5> {
    const client = await Client5.open(port);
    const connack = await client.connect(clientId, options);
    if (connack.reasonCode !== 0) throw new Error(`CONNACK says ${connack.reasonCode}`);
    return client;
  }

  /** Sends CONNECT and answers what comes back, CONNACK or else. */
  async connect(clientId: string, options: Connect5Options = {}): Promise<Packet5> {
    this.send({
      cmd: 'connect',
      ...{ protocolId: 'MQTT', protocolVersion: 5, keepalive: 60, clean: true },
      ...options,
      clientId,
    });
    return this.next();
  }

  /** A packet by its fields, or bytes as they are. */
  send(packet: Record<string, unknown> | Buffer | readonly number[]): void {
    if (Buffer.isBuffer(packet) || Array.isArray(packet)) {
      this.socket.write(Buffer.from(packet as Buffer));
      return;
    }
    this.socket.write(bytesOf(packet as Record<string, unknown>));
  }

  /** Subscribes to filters with options such as `{ qos: 1, nl: true, rap: true, rh: 2 }`. */
  async subscribe(
    filters: string | Readonly<Record<string, Record<string, unknown>>>,
    properties: Record<string, unknown> = {},
  ): Promise<readonly number[]> {
    const asked = typeof filters === 'string' ? { [filters]: { qos: 1 } } : filters;
    const subscriptions = Object.entries(asked).map(([topic, options]) => ({ topic, ...options }));
    this.send({ cmd: 'subscribe', messageId: 77, subscriptions, properties });
    return (await this.nextOf('suback')).granted ?? [];
  }

  /** The next packet; rejects after five seconds or when the connection closes. */
  next(): Promise<Packet5> {
    const packet = this.#packets.shift();
    if (packet !== undefined) return Promise.resolve(packet);
    return new Promise((resolve, reject) => {
      const guard = setTimeout(() => reject(new Error('no packet within 5 s')), 5_000);
      this.#waiting.push((one) => {
        clearTimeout(guard);
        resolve(one);
      });
      void this.closed.then(() => {
        clearTimeout(guard);
        reject(new Error('connection closed'));
      });
    });
  }

  /** The next packet of this type; others are skipped. */
  async nextOf(cmd: string): Promise<Packet5> {
    for (;;) {
      const packet = await this.next();
      if (packet.cmd === cmd) return packet;
    }
  }

  /** The payloads of the PUBLISH that came before the answer to a PINGREQ. */
  async received(): Promise<string[]> {
    this.send({ cmd: 'pingreq' });
    const texts: string[] = [];
    for (;;) {
      const packet = await this.next();
      if (packet.cmd === 'pingresp') return texts;
      if (packet.cmd === 'publish') texts.push(String(packet.payload));
    }
  }

  /** The reason code of the DISCONNECT that the server sends before it closes. */
  async farewell(): Promise<number> {
    const { reasonCode } = await this.nextOf('disconnect');
    await this.closed;
    return reasonCode ?? -1;
  }

  /** Ends the session's connection properly. */
  async disconnect(properties: Record<string, unknown> = {}, reasonCode = 0): Promise<void> {
    this.send({ cmd: 'disconnect', reasonCode, properties });
    await this.closed;
  }

  /** Drops the connection without DISCONNECT. */
  async cut(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }

  #take(packet: Packet5): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#packets.push(packet);
    else waiting(packet);
  }
}

/** The frame of a packet that is said by its fields. */
export function bytesOf(packet: Record<string, unknown>): Buffer {
  return generate(packet as unknown as Packet, version);
}

/** A property that must be in a CONNACK. */
export function told(connack: Packet5, name: keyof NonNullable<IConnackPacket['properties']>) {
  return connack.properties?.[name];
}
