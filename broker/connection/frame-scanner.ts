/**
 * Finds MQTT control packets in a byte stream without copying those that lie whole in one chunk.
 * `push` a chunk, then call `next` until it is false; between the calls the fields describe the
 * present frame, which is valid until the next `push`.
 * Source: MQTT 3.1.1 section 2.2.
 */
import type { FrameForm } from '../../proto/run.ts';

export type ScanFault = 'length-malformed' | 'too-large';

const empty = Buffer.alloc(0);

export class FrameScanner {
  /** Of all chunks. */
  pushedBytes = 0;
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
    this.pushedBytes += chunk.length;
    const rest = this.#chunk.length - this.#at;
    this.#chunk = rest === 0 ? chunk : Buffer.concat([this.#chunk.subarray(this.#at), chunk]);
    this.#at = 0;
  }

  /** True when the fields describe another whole frame; false when more bytes are needed or `fault`. */
  next(): boolean {
    if (this.fault !== null) return false;
    // A client that is silent from here on keeps no chunk.
    if (this.#at === this.#chunk.length) this.#letGo();
    return this.#partial === null ? this.#nextWhole() : this.#fillPartial(this.#partial);
  }

  /**
   * Takes in the frames that follow the present one in the same chunk as long as they are PUBLISH
   * frames like it: the same first byte, the same `head` (topic with its length), no MQTT 5
   * properties. The present frame becomes a range of so many frames, which is the answer.
   */
  extendRun(head: Buffer, form: FrameForm): number {
    const { buffer } = this;
    if (this.#chunk !== buffer) return 1;
    const first = buffer[this.start] as number;
    const restBytes = head.length + ((first & 0x06) === 0 ? 0 : 2) + (form === 5 ? 1 : 0);
    let count = 1;
    let at = this.end;
    for (;;) {
      const end = endOfLike(buffer, at, { first, head, form, restBytes });
      if (end < 0 || end - at > this.#frameBytesMax) break;
      count++;
      at = end;
    }
    this.end = at;
    this.#at = at;
    return count;
  }

  /** Goes on to the next frame if it begins with this byte and lies whole in the same chunk. */
  nextLike(first: number): boolean {
    const chunk = this.#chunk;
    const at = this.#at;
    if (this.#partial !== null || at + 2 > chunk.length || chunk[at] !== first) return false;
    const bodyStart = at + lengthFieldBytes(chunk, at + 1) + 1;
    const end = bodyStart + readLength(chunk, at + 1);
    if (end > chunk.length || end - at > this.#frameBytesMax) return false;
    this.#set(chunk, at, bodyStart, end);
    this.#at = end;
    return true;
  }

  /** Takes in the four-byte frames that follow the present one and are of the same type. */
  extendAcks(): number {
    const { buffer } = this;
    if (this.#chunk !== buffer) return 1;
    const first = buffer[this.start] as number;
    let at = this.end;
    while (at + 4 <= buffer.length && buffer[at] === first && buffer[at + 1] === 2) at += 4;
    const count = 1 + (at - this.end) / 4;
    this.end = at;
    this.#at = at;
    return count;
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

  #letGo(): void {
    this.buffer = empty;
    this.#chunk = empty;
    this.#at = 0;
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

/** Where the frame at `at` ends, or -1 when it is not like the first of a run or not whole. */
function endOfLike(
  buffer: Buffer,
  at: number,
  like: {
    readonly first: number;
    readonly head: Buffer;
    readonly form: FrameForm;
    readonly restBytes: number;
  },
): number {
  if (at >= buffer.length || buffer[at] !== like.first) return -1;
  const bodyStart = at + lengthFieldBytes(buffer, at + 1) + 1;
  const end = bodyStart + readLength(buffer, at + 1);
  if (isOverlong(buffer, at, bodyStart) || bodyStart + like.restBytes > end) return -1;
  if (end > buffer.length || !isSame(buffer, bodyStart, like.head)) return -1;
  const isBare = like.restBytes === like.head.length;
  if (!isBare && !isPlain(buffer, bodyStart + like.head.length, like)) return -1;
  return end;
}

/** Bytes of the remaining length at `at`; one past the limit when it is not whole. */
function lengthFieldBytes(buffer: Buffer, at: number): number {
  let bytes = 1;
  while (bytes < 5 && (buffer[at + bytes - 1] ?? 0) >= 0x80) bytes++;
  return bytes;
}

/** A remaining length in more bytes than it needs: such a frame is not handed on as it came. */
export function isOverlong(buffer: Buffer, start: number, bodyStart: number): boolean {
  return bodyStart - start > 2 && buffer[bodyStart - 1] === 0;
}

function readLength(buffer: Buffer, at: number): number {
  let length = 0;
  for (let i = 0; i < 4; i++) {
    const byte = buffer[at + i] ?? 0;
    length |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) return length;
  }
  return Number.POSITIVE_INFINITY;
}

function isSame(buffer: Buffer, at: number, head: Buffer): boolean {
  for (let i = head.length - 1; i >= 0; i--) if (buffer[at + i] !== head[i]) return false;
  return true;
}

/** The packet identifier is not 0 where there must be one, and there are no properties. */
function isPlain(
  buffer: Buffer,
  at: number,
  { first, form }: { readonly first: number; readonly form: FrameForm },
): boolean {
  let next = at;
  if ((first & 0x06) !== 0) {
    if (buffer[at] === 0 && buffer[at + 1] === 0) return false;
    next += 2;
  }
  return form === 4 || buffer[next] === 0;
}
