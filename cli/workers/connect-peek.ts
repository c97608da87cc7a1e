/**
 * Reads a CONNECT just far enough to know the client identifier. It judges nothing: what is not a
 * sound CONNECT has no owner, and whichever worker gets it refuses it.
 * Source: MQTT 3.1.1 section 3.1, MQTT 5 section 3.1.
 */
import { connectBytesMax } from '../../base/limits.ts';

/** The identifier's bytes, never empty; `nobody` when there is none; `more` when it is yet to come. */
export type Peeked = Buffer | 'nobody' | 'more';

const connectByte = 0x10;
const mqtt5 = 5;
/** Mosquitto's bridges set the highest bit of the protocol level. */
const levelMask = 0x7f;

const protocolNames = new Set(['MQTT', 'MQIsdp']);

export class ConnectPeek {
  #bytes: Buffer = Buffer.alloc(0);

  /** All that came so far. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  take(chunk: Buffer): Peeked {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    const peeked = clientIdIn(this.#bytes);
    return peeked === 'more' && this.#bytes.length >= connectBytesMax ? 'nobody' : peeked;
  }
}

function clientIdIn(bytes: Buffer): Peeked {
  const reader = new Reader(bytes);
  try {
    return clientIdFrom(reader);
  } catch (error) {
    if (error !== outOfBytes) throw error;
    // A packet that is whole but too short is malformed.
    return bytes.length < reader.end ? 'more' : 'nobody';
  }
}

function clientIdFrom(reader: Reader): Peeked {
  if (reader.byte() !== connectByte) return 'nobody';
  const length = reader.variable();
  if (length > connectBytesMax) return 'nobody';
  reader.end = reader.at + length;
  const name = reader.string();
  if (name === null || !protocolNames.has(name.toString('latin1'))) return 'nobody';
  const level = reader.byte() & levelMask;
  reader.pass(3); // Flags and keep alive.
  if (level === mqtt5) reader.pass(reader.variable());
  const clientId = reader.string();
  return clientId === null || clientId.length === 0 ? 'nobody' : clientId;
}

/** Thrown where the bytes end too early; one object, since it is no fault. */
const outOfBytes = new Error('more bytes are needed');

class Reader {
  readonly #bytes: Buffer;
  at = 0;
  /** Where the packet ends; not known at first. */
  end = Number.POSITIVE_INFINITY;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  byte(): number {
    const byte = this.#bytes[this.at++];
    if (byte === undefined) throw outOfBytes;
    return byte;
  }

  /** A variable byte integer; infinite when it is malformed. */
  variable(): number {
    let value = 0;
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Bytes with their length before them; null when they would go beyond the packet. */
  string(): Buffer | null {
    const length = this.byte() * 256 + this.byte();
    const start = this.at;
    if (start + length > this.end) return null;
    this.pass(length);
    if (this.at > this.#bytes.length) throw outOfBytes;
    return this.#bytes.subarray(start, this.at);
  }

  pass(count: number): void {
    this.at += count;
  }
}
