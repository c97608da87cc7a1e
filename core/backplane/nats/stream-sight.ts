/** What was last seen of a stream, to notice that it was made anew or put back. */
import type { StreamInfo } from './streams.ts';

export class StreamSight {
  #created = '';
  #lastSeq = 0;

  /** True when it is another stream than at the last look, or an earlier state of it. */
  isLost({ created, state }: StreamInfo): boolean {
    const isKnown = this.#created !== '';
    const isLost = created !== this.#created || state.last_seq < this.#lastSeq;
    this.#created = created;
    this.#lastSeq = state.last_seq;
    return isKnown && isLost;
  }
}
