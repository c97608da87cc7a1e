/**
 * The few MQTT 3.1.1 packets that a load needs, as bytes. Publications are written over a template,
 * so that the load generator spends its time on the sockets and not on encoding.
 */

export const types = { connack: 2, publish: 3, puback: 4, suback: 9 } as const;

export type LoadQos = 0 | 1;

/** What stands at the front of each payload; the rest is filler. */
export const stampBytes = 8;

export function connectFrame(clientId: string, cleanSession: boolean): Buffer {
  const flags = cleanSession ? 2 : 0;
  // Keep alive 0: a load that runs for seconds needs no pings.
  const head = Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, flags, 0, 0]);
  return frame(0x10, Buffer.concat([head, text(clientId)]));
}

export function subscribeFrame(filters: readonly string[], qos: LoadQos): Buffer {
  const wanted = filters.map((filter) => Buffer.concat([text(filter), Buffer.from([qos])]));
  return frame(0x82, Buffer.concat([Buffer.from([0, 1]), ...wanted]));
}

export function disconnectFrame(): Buffer {
  return Buffer.from([0xe0, 0]);
}

/** Writes the acknowledgement of a packet identifier at `at`. */
export function writePuback(target: Buffer, at: number, packetId: number): void {
  target[at] = 0x40;
  target[at + 1] = 2;
  target.writeUInt16BE(packetId, at + 2);
}

/** Publications of one device on one topic, made by copying a template and stamping each copy. */
export class PublishFrames {
  readonly #qos: LoadQos;
  readonly #publisher: number;
  readonly #frameBytes: number;
  readonly #idAt: number;
  readonly #stampAt: number;
  readonly #template: Buffer;
  readonly #countMax: number;

  constructor(options: {
    topic: string;
    qos: LoadQos;
    publisher: number;
    payloadBytes: number;
    countMax: number;
  }) {
    const { topic, qos, publisher, payloadBytes, countMax } = options;
    const id = Buffer.alloc(qos > 0 ? 2 : 0);
    const payload = Buffer.alloc(payloadBytes, 'x');
    const one = frame(0x30 | (qos << 1), Buffer.concat([text(topic), id, payload]));
    this.#qos = qos;
    this.#publisher = publisher;
    this.#frameBytes = one.length;
    this.#stampAt = one.length - payloadBytes;
    this.#idAt = this.#stampAt - 2;
    this.#countMax = countMax;
    this.#template = Buffer.concat(Array.from({ length: countMax }, () => one));
  }

  /** Up to `countMax` frames in a row, numbered from `first`. */
  make(first: number, wanted: number): { bytes: Buffer; count: number } {
    const count = Math.min(wanted, this.#countMax);
    const bytes = Buffer.allocUnsafe(count * this.#frameBytes);
    this.#template.copy(bytes, 0, 0, bytes.length);
    for (let i = 0, start = 0; i < count; i++, start += this.#frameBytes) {
      const number = first + i;
      if (this.#qos > 0) bytes.writeUInt16BE((number % 65_535) + 1, start + this.#idAt);
      bytes.writeUInt32BE(this.#publisher, start + this.#stampAt);
      bytes.writeUInt32BE(number, start + this.#stampAt + 4);
    }
    return { bytes, count };
  }
}

function frame(head: number, body: Buffer): Buffer {
  const length: number[] = [];
  let rest = body.length;
  do {
    length.push((rest & 127) | (rest > 127 ? 128 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.from([head, ...length]), body]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
