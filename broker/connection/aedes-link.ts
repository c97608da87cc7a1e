/**
 * The two ways between a connection and Aedes: whole frames in, and packets out that Aedes writes in
 * several small pieces.
 */
export class AedesLink {
  readonly #in: Buffer[] = [];
  #out: Buffer[] = [];

  /** Something of a packet waits to be taken out. */
  get hasOutput(): boolean {
    return this.#out.length > 0;
  }

  pass(frame: Buffer): void {
    this.#in.push(frame);
  }

  /** The next bytes for Aedes's parser, or null. */
  read(): Buffer | null {
    return this.#in.shift() ?? null;
  }

  write(bytes: Buffer): void {
    this.#out.push(bytes);
  }

  /** The packet that Aedes has written whole, or null. */
  seal(): Buffer | null {
    const parts = this.#out;
    if (parts.length === 0) return null;
    this.#out = [];
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }
}
