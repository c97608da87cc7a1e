/**
 * Finds MQTT control packets in a byte stream without copying those that lie whole in one chunk.
 * `push` a chunk, then call `next` until it is false; between the calls the fields describe the
 * present frame, which is valid until the next `push`.
 * Source: MQTT 3.1.1 section 2.2.
 */

export type ScanFault = 'length-malformed' | 'too-large';

const empty = Buffer.alloc(0);

export class FrameScanner {
  /** The whole frame is `buffer[start, end)`; what follows its fixed header begins at `bodyStart`. */
  buffer: Buffer = empty;
  start = 0;
  bodyStart = 0;
  end = 0;
  fault: ScanFault | null = null;
  readonly #frameBytesMax: number;
  /** A frame that came in pieces: allocated once its length is known. */
  #partial: Buffer | null = null;
  #partialFilled = 0;
  #chunk: Buffer = empty;
  #at = 0;

  constructor(frameBytesMax: number) {
    this.#frameBytesMax = frameBytesMax;
  }

  /** Packet type, 1 to 14, of the present frame. */
  get type(): number {
    return (this.buffer[this.start] as number) >> 4;
  }

  /** The four low bits of the first byte. */
  get flags(): number {
    return (this.buffer[this.start] as number) & 0x0f;
  }

  /** Bytes taken in but not yet given out as frames. */
  get heldBytes(): number {
    return this.#partialFilled + this.#chunk.length - this.#at;
  }

  push(chunk: Buffer): void {
    const rest = this.#chunk.length - this.#at;
    this.#chunk = rest === 0 ? chunk : Buffer.concat([this.#chunk.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** True when the fields describe another whole frame; false when more bytes are needed or `fault`. */
  next(): boolean {
    if (this.fault !== null) return false;
    return this.#partial === null ? this.#nextWhole() : this.#fillPartial(this.#partial);
  }

  #nextWhole(): boolean {
    const chunk = this.#chunk;
    let length = 0;
    let at = this.#at + 1;
    for (let shift = 0; ; shift += 7) {
      if (at >= chunk.length) return false;
      const byte = chunk[at++] as number;
      length |= (byte & 0x7f) << shift;
      if ((byte & 0x80) === 0) break;
      // [MQTT-2.2.3] the remaining length has four bytes at most.
      if (shift === 21) return this.#fail('length-malformed');
    }
    const end = at + length;
    if (end - this.#at > this.#frameBytesMax) return this.#fail('too-large');
    if (end > chunk.length) {
      this.#startPartial(end - this.#at);
      return false;
    }
    this.#set(chunk, this.#at, at, end);
    this.#at = end;
    return true;
  }

  #startPartial(bytes: number): void {
    this.#partial = Buffer.allocUnsafe(bytes);
    this.#partialFilled = this.#chunk.copy(this.#partial, 0, this.#at);
    this.#chunk = empty;
    this.#at = 0;
  }

  #fillPartial(partial: Buffer): boolean {
    const copied = this.#chunk.copy(partial, this.#partialFilled, this.#at);
    this.#at += copied;
    this.#partialFilled += copied;
    if (this.#partialFilled < partial.length) return false;
    let bodyStart = 2;
    while (((partial[bodyStart - 1] as number) & 0x80) !== 0) bodyStart++;
    this.#set(partial, 0, bodyStart, partial.length);
    this.#partial = null;
    this.#partialFilled = 0;
    return true;
  }

  #set(buffer: Buffer, start: number, bodyStart: number, end: number): void {
    this.buffer = buffer;
    this.start = start;
    this.bodyStart = bodyStart;
    this.end = end;
  }

  #fail(fault: ScanFault): false {
    this.fault = fault;
    this.#chunk = empty;
    this.#at = 0;
    return false;
  }
}
