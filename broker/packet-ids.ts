/**
 * Packet identifiers of one session's deliveries: 1 to 65,535, none used twice at a time.
 * Source: MQTT 3.1.1 section 2.3.1.
 */
export class PacketIds {
  readonly #used = new Set<number>();
  #last = 0;

  /** The next free one. There always is: the window is at most 65,535 and checked before. */
  obtain(): number {
    do {
      this.#last = this.#last === 65_535 ? 1 : this.#last + 1;
    } while (this.#used.has(this.#last));
    this.#used.add(this.#last);
    return this.#last;
  }

  claim(packetId: number): void {
    this.#used.add(packetId);
  }

  release(packetId: number): void {
    this.#used.delete(packetId);
  }
}
