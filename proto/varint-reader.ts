/**
 * Reads protobuf fields from bytes that may be anything. What is cut off, or is no number that
 * JavaScript can hold, is not thrown but noted: `isCut` is asked for before anything is believed.
 */
const uint32Size = 0x1_0000_0000;

/** Where the number that the reader builds would no longer be exact. */
const scaleMax = 2 ** 49;

const nothing = Buffer.alloc(0);

export class VarintReader {
  at: number;
  readonly end: number;
  isCut = false;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** A number up to 2^53; -1 and `isCut` for anything else. */
  next(): number {
    let value = 0;
    let scale = 1;
    // Four bytes in 32 bits; most numbers end within them.
    for (let shift = 0; shift < 28 && this.at < this.end; shift += 7) {
      const byte = this.#bytes[this.at++] as number;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
    while (this.at < this.end && scale <= scaleMax) {
      const byte = this.#bytes[this.at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value <= Number.MAX_SAFE_INTEGER) return value;
        break;
      }
      scale *= 0x80;
    }
    return this.#cut();
  }

  next32(): number {
    const value = this.next();
    return value < uint32Size ? value : this.#cut();
  }

  /** Packed numbers, added to those that came before; always true. */
  column(values: number[]): boolean {
    const end = this.#length();
    while (this.at < end && !this.isCut) values.push(this.next());
    if (this.at > end) this.#cut();
    return true;
  }

  column32(values: number[]): boolean {
    const bytes = this.#bytes;
    const end = this.#length();
    while (this.at < end && !this.isCut) {
      const byte = bytes[this.at] as number;
      if (byte < 0x80) {
        values.push(byte);
        this.at++;
      } else {
        values.push(this.next32());
      }
    }
    if (this.at > end) this.#cut();
    return true;
  }

  /** A view. */
  blob(): Buffer {
    const end = this.#length();
    if (this.isCut) return nothing;
    const blob = this.#bytes.subarray(this.at, end);
    this.at = end;
    return blob;
  }

  text(): string {
    const end = this.#length();
    if (this.isCut) return '';
    const text = this.#bytes.toString('utf8', this.at, end);
    this.at = end;
    // What is not UTF-8 the generated code has its own word on.
    if (text.includes('\ufffd')) this.#cut();
    return text;
  }

  /** For the message that stands here; this reader goes on behind it. */
  nested(): VarintReader {
    const end = this.#length();
    const inner = new VarintReader(this.#bytes, this.at, end);
    inner.isCut = this.isCut;
    this.at = end;
    return inner;
  }

  /** Where what begins here ends. */
  #length(): number {
    const length = this.next();
    const end = this.at + length;
    if (!this.isCut && end <= this.end) return end;
    this.#cut();
    return this.at;
  }

  #cut(): number {
    this.isCut = true;
    return -1;
  }
}
