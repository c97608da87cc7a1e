/**
 * Streams that nothing else counts: those of a listener are waited for by Node, those that came from
 * another process are not. `close` gives them time for their last bytes.
 */
import type { Duplex } from 'node:stream';

/** As long as a connection that was told to end may take to do so. */
const lingerMs = 1_000;

export class OpenStreams {
  readonly #streams = new Set<Duplex>();
  #emptied: () => void = () => {};

  get count(): number {
    return this.#streams.size;
  }

  add(stream: Duplex): void {
    this.#streams.add(stream);
    stream.once('close', () => {
      this.#streams.delete(stream);
      if (this.#streams.size === 0) this.#emptied();
    });
  }

  /** Resolves when all are closed; those that take too long are cut. */
  async close(): Promise<void> {
    if (this.#streams.size === 0) return;
    const timer = setTimeout(() => {
      for (const stream of this.#streams) stream.destroy();
    }, lingerMs);
    await new Promise<void>((resolve) => {
      this.#emptied = resolve;
    });
    clearTimeout(timer);
  }
}

/** Lets what was written leave, then closes. */
export function finish(stream: Duplex): void {
  if (stream.destroyed) return;
  stream.end();
  stream.resume();
  const timer = setTimeout(() => stream.destroy(), lingerMs);
  stream.once('close', () => clearTimeout(timer));
}
