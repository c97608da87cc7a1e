/**
 * Who left the index lately, and when in the count of changes: what a watch that is taken up again
 * cannot see in the index itself.
 */

/** Some minutes of a large fleet's comings and goings, and a few MB. */
const departuresMax = 100_000;

export class Departures {
  #clientIds: string[] = [];
  #sequences: number[] = [];
  #head = 0;
  /** Everything above this is remembered. */
  #since = 0;

  /** Whether every departure after that change is known. */
  reaches(sequence: number): boolean {
    return sequence >= this.#since;
  }

  add(clientId: string, sequence: number): void {
    this.#clientIds.push(clientId);
    this.#sequences.push(sequence);
    if (this.#clientIds.length - this.#head <= departuresMax) return;
    this.#since = this.#sequences[this.#head] as number;
    this.#head++;
    if (this.#head < departuresMax) return;
    this.#clientIds = this.#clientIds.slice(this.#head);
    this.#sequences = this.#sequences.slice(this.#head);
    this.#head = 0;
  }

  /** Who left after that change, the first one first. */
  after(sequence: number): string[] {
    let low = this.#head;
    let high = this.#sequences.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sequences[middle] as number) <= sequence) low = middle + 1;
      else high = middle;
    }
    return this.#clientIds.slice(low);
  }
}
