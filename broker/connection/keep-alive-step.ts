/** How often a connection's keep alive is refreshed: not per packet. */

const stepMs = 250;

export class KeepAliveStep {
  #at = 0;

  /** True once in each step. */
  isDue(): boolean {
    const now = performance.now();
    if (now - this.#at < stepMs) return false;
    this.#at = now;
    return true;
  }
}
