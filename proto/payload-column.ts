/**
 * Payloads one behind the other. What lies one behind the other already, because it came in a column,
 * stays where it is: a tier that passes a batch on does not copy it.
 */
const nothing = Buffer.alloc(0);

export class PayloadColumn {
  /** Neighbours are one. */
  readonly #stretches: Buffer[] = [];
  /** The last stretch, which may grow; as long as it is one payload, that stands for it. */
  #single: Buffer | null = null;
  #memory: ArrayBufferLike = nothing.buffer;
  #start = 0;
  #end = -1;
  #bytes = 0;

  add(payload: Buffer): void {
    const { length } = payload;
    if (length === 0) return;
    this.#bytes += length;
    const { buffer, byteOffset } = payload;
    if (byteOffset === this.#end && buffer === this.#memory) {
      this.#end += length;
      this.#single = null;
      return;
    }
    this.#close();
    this.#single = payload;
    this.#memory = buffer;
    this.#start = byteOffset;
    this.#end = byteOffset + length;
  }

  finish(): Buffer {
    this.#close();
    const [first] = this.#stretches;
    if (first === undefined) return nothing;
    return this.#stretches.length === 1 ? first : Buffer.concat(this.#stretches, this.#bytes);
  }

  #close(): void {
    if (this.#end < 0) return;
    const length = this.#end - this.#start;
    this.#stretches.push(this.#single ?? Buffer.from(this.#memory, this.#start, length));
    this.#end = -1;
  }
}
