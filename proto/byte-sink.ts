/**
 * Protobuf fields written one behind the other into memory that is kept from one message to the
 * next. As in the generated code, numbers that are 0 and columns that are empty take no bytes.
 */
const initialBytes = 64 * 1024;

/** A message larger than this does not leave its memory to the next. */
const keptBytesMax = 1024 * 1024;

/** In front, for the tag and length that the whole may be given. */
const headBytes = 16;

/** Below, a varint is worked out in 32 bits. */
const shiftedMax = 0x7fffffff;

const varint32BytesMax = 5;
/** Of the numbers that are exact in JavaScript. */
const varintBytesMax = 8;

export class ByteSink {
  #bytes = Buffer.allocUnsafeSlow(initialBytes);
  #at = headBytes;

  begin(): void {
    if (this.#bytes.length > keptBytesMax) this.#bytes = Buffer.allocUnsafeSlow(initialBytes);
    this.#at = headBytes;
  }

  /** A copy of what was written, as a field of that tag when one is given. */
  end(tag: number | null): Buffer {
    let start = headBytes;
    if (tag !== null) {
      const length = this.#at - headBytes;
      const end = this.#at;
      start = headBytes - varintBytes(tag) - varintBytes(length);
      this.#at = start;
      this.#varint(tag);
      this.#varint(length);
      this.#at = end;
    }
    const bytes = Buffer.allocUnsafe(this.#at - start);
    this.#bytes.copy(bytes, 0, start, this.#at);
    return bytes;
  }

  number(tag: number, value: number): void {
    if (value === 0) return;
    this.#ensure(varint32BytesMax + varintBytesMax);
    this.#varint(tag);
    this.#varint(value);
  }

  /** Packed. */
  column(tag: number, values: readonly number[]): void {
    if (values.length === 0) return;
    let length = 0;
    for (const value of values) length += value < 0x80 ? 1 : varintBytes(value);
    this.#ensure(varint32BytesMax * 2 + length);
    this.#varint(tag);
    this.#varint(length);
    for (const value of values) {
      if (value < 0x80) this.#bytes[this.#at++] = value;
      else this.#varint(value);
    }
  }

  blob(tag: number, value: Uint8Array): void {
    this.#ensure(varint32BytesMax * 2 + value.length);
    this.#varint(tag);
    this.#varint(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  text(tag: number, value: string): void {
    const length = Buffer.byteLength(value);
    this.#ensure(varint32BytesMax * 2 + length);
    this.#varint(tag);
    this.#varint(length);
    this.#at += this.#bytes.write(value, this.#at);
  }

  /** A nested message of a number (field 1) and bytes (field 2). */
  indexedBlob(tag: number, index: number, value: Uint8Array): void {
    const length = fieldBytes(index) + (value.length === 0 ? 0 : sizedBytes(value.length));
    this.#nested(tag, length);
    this.number(8, index);
    if (value.length > 0) this.blob(18, value);
  }

  /** A nested message of a text (field 1) and a number (field 2). */
  textAndNumber(tag: number, text: string, value: number): void {
    const textBytes = Buffer.byteLength(text);
    this.#nested(tag, (textBytes === 0 ? 0 : sizedBytes(textBytes)) + fieldBytes(value));
    if (textBytes > 0) this.text(10, text);
    this.number(16, value);
  }

  #nested(tag: number, length: number): void {
    this.#ensure(varint32BytesMax * 2);
    this.#varint(tag);
    this.#varint(length);
  }

  #varint(value: number): void {
    const bytes = this.#bytes;
    let at = this.#at;
    let rest = value;
    while (rest > shiftedMax) {
      bytes[at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest >= 0x80) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.#at = at;
  }

  #ensure(more: number): void {
    const needed = this.#at + more;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** With a tag of one byte. */
function fieldBytes(value: number): number {
  return value === 0 ? 0 : 1 + varintBytes(value);
}

function sizedBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}
