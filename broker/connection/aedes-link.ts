/** Packets that Aedes writes to a connection, each in several small pieces. */
export class AedesLink {
  #out: Buffer[] = [];

  /** Something of a packet waits to be taken out. */
  get hasOutput(): boolean {
    return this.#out.length > 0;
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
