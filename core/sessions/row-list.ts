/** Rows that grow in number, in memory that is used again. */
import type { Scratch } from './scratch.ts';

export class RowList {
  readonly #scratch: Scratch;
  #rows: Uint32Array;
  #count = 0;

  constructor(scratch: Scratch) {
    this.#scratch = scratch;
    this.#rows = scratch.rows(4_096);
  }

  get rows(): Uint32Array {
    return this.#rows.subarray(0, this.#count);
  }

  add(row: number): void {
    if (this.#count === this.#rows.length) this.#grow();
    this.#rows[this.#count++] = row;
  }

  #grow(): void {
    const larger = this.#scratch.rows(this.#count * 4);
    larger.set(this.#rows);
    this.#rows = larger;
  }
}
