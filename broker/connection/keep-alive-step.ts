/** How often a connection's keep alive is refreshed: not per packet. Notes how long nothing came. */

const stepMs = 250;

export class KeepAliveStep {
  #at = 0;
  #longestMs = 0;

  /** The longest time without input so far, good to a step; 0 while there is nothing to tell. */
  get longestSilenceMs(): number {
    return this.#longestMs;
  }

  /** True once in each step. */
  isDue(): boolean {
    const now = performance.now();
    const silence = now - this.#at;
    if (silence < stepMs) return false;
    if (this.#at > 0 && silence > this.#longestMs) this.#longestMs = silence;
    this.#at = now;
    return true;
  }
}
