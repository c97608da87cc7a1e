/** MQTT 3.1.1 by hand, for what a proper client would not send or would hide. */
import { connect, type Socket } from 'node:net';

export interface RawPacket {
  readonly type: number;
  readonly flags: number;
  readonly body: Buffer;
}

export class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  #bytes: Buffer = Buffer.alloc(0);
  readonly #packets: RawPacket[] = [];
  readonly #waiting: ((packet: RawPacket) => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
  }

  static async open(port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const client = new RawClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return client;
  }

  /** Opens and connects; the CONNACK body is checked to be success. */
  static async session(port: number, clientId: string, clean = true): Promise<RawClient> {
    const client = await RawClient.open(port);
    client.send(connectPacket(clientId, { clean }));
    const connack = await client.next();
    if (connack.type !== 2 || connack.body[1] !== 0) throw new Error('CONNACK is not success');
    return client;
  }

  send(bytes: Buffer | readonly number[]): void {
    this.socket.write(Buffer.from(bytes as Buffer));
  }

  /** The next packet; rejects after five seconds or when the connection closes. */
  next(): Promise<RawPacket> {
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
  async nextOf(type: number): Promise<RawPacket> {
    for (;;) {
      const packet = await this.next();
      if (packet.type === type) return packet;
    }
  }

  destroy(): void {
    this.socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    for (;;) {
      const packet = this.#cut();
      if (packet === null) return;
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#packets.push(packet);
      else waiting(packet);
    }
  }

  #cut(): RawPacket | null {
    const bytes = this.#bytes;
    let length = 0;
    let at = 1;
    for (let shift = 0; ; shift += 7) {
      if (at >= bytes.length) return null;
      const byte = bytes[at++] as number;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (at + length > bytes.length) return null;
    const first = bytes[0] as number;
    this.#bytes = bytes.subarray(at + length);
    return { type: first >> 4, flags: first & 15, body: bytes.subarray(at, at + length) };
  }
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

export function packet(first: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length: number[] = [];
  let rest = body.length;
  do {
    const digit = rest & 127;
    rest >>= 7;
    length.push(rest > 0 ? digit | 128 : digit);
  } while (rest > 0);
  return Buffer.concat([Buffer.from([first, ...length]), body]);
}

export function connectPacket(
  clientId: string,
  options: { clean?: boolean; keepAlive?: number } = {},
): Buffer {
  const { clean = true, keepAlive = 60 } = options;
  const variable = Buffer.from([4, clean ? 2 : 0, 0, keepAlive]);
  return packet(0x10, text('MQTT'), variable, text(clientId));
}

export function publishPacket(
  topic: string,
  payload: string,
  options: { qos?: number; packetId?: number; dup?: boolean; retain?: boolean } = {},
): Buffer {
  const { qos = 0, packetId = 0, dup = false, retain = false } = options;
  const id = qos > 0 ? Buffer.from([packetId >> 8, packetId & 255]) : Buffer.alloc(0);
  const first = 0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0);
  return packet(first, text(topic), id, Buffer.from(payload));
}

export function subscribePacket(packetId: number, filter: string, qos: number): Buffer {
  const id = Buffer.from([packetId >> 8, packetId & 255]);
  return packet(0x82, id, text(filter), Buffer.from([qos]));
}

/** PUBACK (4), PUBREC (5), PUBREL (6) or PUBCOMP (7). */
export function ackPacket(type: 4 | 5 | 6 | 7, packetId: number): Buffer {
  return Buffer.from([(type << 4) | (type === 6 ? 2 : 0), 2, packetId >> 8, packetId & 255]);
}

export function packetIdOf(one: RawPacket): number {
  if (one.type !== 3) return one.body.readUInt16BE(0);
  return one.body.readUInt16BE(2 + one.body.readUInt16BE(0));
}

export function payloadOf(one: RawPacket): string {
  const topicEnd = 2 + one.body.readUInt16BE(0);
  return one.body.toString('utf8', topicEnd + (((one.flags >> 1) & 3) > 0 ? 2 : 0));
}
