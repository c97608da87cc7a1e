/**
 * Memory of queries, used again by the next one: megabytes that come and go with each query would
 * have the garbage collector look through the whole index again and again. One query at a time.
 */

export class Scratch {
  readonly #rows = new Pool((length) => new Uint32Array(length));
  readonly #numbers = new Pool((length) => new Float64Array(length));
  readonly #marks = new Pool((length) => new Uint8Array(length));

  /** At least so long, with whatever was in it. */
  rows(length: number): Uint32Array {
    return this.#rows.take(length);
  }

  numbers(length: number): Float64Array {
    return this.#numbers.take(length);
  }

  marks(length: number): Uint8Array {
    return this.#marks.take(length);
  }

  /** What was taken is free again. */
  reset(): void {
    for (const pool of [this.#rows, this.#numbers, this.#marks]) pool.reset();
  }
}

class Pool<A extends { readonly length: number }> {
  readonly #make: (length: number) => A;
  #free: A[] = [];
  #taken: A[] = [];

  constructor(make: (length: number) => A) {
    this.#make = make;
  }

  take(length: number): A {
    const at = this.#free.findIndex((one) => one.length >= length && one.length <= length * 4);
    const one = at < 0 ? this.#make(sizeFor(length)) : (this.#free.splice(at, 1)[0] as A);
    this.#taken.push(one);
    return one;
  }

  reset(): void {
    // What this query had no use for, the next one hardly has.
    this.#free = this.#taken;
    this.#taken = [];
  }
}

/** Room to spare, so that an index that grows finds its scratch large enough. */
function sizeFor(length: number): number {
  return length < 65_536 ? length : Math.ceil((length * 1.1) / 65_536) * 65_536;
}
