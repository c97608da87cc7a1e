/**
 * Reads the fields of a packet one after the other. Past the end they are empty and `isWhole` turns
 * false, so that a reader asks once, when it has them all.
 * Source: MQTT 5 section 1.5; MQTT 3.1.1 section 1.5 is part of it.
 */
import { isUtf8 } from 'node:buffer';
import { readVariable, variableBytes } from '../../proto/variable-byte-integer.ts';

export class Fields {
  /** Every field so far was there, and every text was UTF-8 without NUL. */
  isWhole = true;
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  /** Of `bytes`, from `at` up to `end`. */
  constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  /** Nothing is missing and nothing is left over. */
  get isDone(): boolean {
    return this.isWhole && this.#at === this.#end;
  }

  byte(): number {
    const at = this.#skip(1);
    return at < 0 ? 0 : (this.#bytes[at] as number);
  }

  uint16(): number {
    const at = this.#skip(2);
    return at < 0 ? 0 : this.#bytes.readUInt16BE(at);
  }

  uint32(): number {
    const at = this.#skip(4);
    return at < 0 ? 0 : this.#bytes.readUInt32BE(at);
  }

  variable(): number {
    const value = readVariable(this.#bytes, this.#at, this.#end);
    if (value >= 0 && this.#skip(variableBytes(value)) >= 0) return value;
    this.isWhole = false;
    return 0;
  }

  binary(): Buffer {
    return this.take(this.uint16());
  }

  text(): string {
    const bytes = this.binary();
    // [MQTT-1.5.4-1], [MQTT-1.5.4-2]; in MQTT 3.1.1 [MQTT-1.5.3-1], [MQTT-1.5.3-2]
    if (!isUtf8(bytes) || bytes.includes(0)) this.isWhole = false;
    return bytes.toString('utf8');
  }

  /** The next bytes as they are. */
  take(length: number): Buffer {
    const at = this.#skip(length);
    return at < 0 ? Buffer.alloc(0) : this.#bytes.subarray(at, at + length);
  }

  /** Where the field begins, or -1 when it does not lie whole before the end. */
  #skip(length: number): number {
    const at = this.#at;
    if (!this.isWhole || at + length > this.#end) {
      this.isWhole = false;
      return -1;
    }
    this.#at = at + length;
    return at;
  }
}
