/**
 * First in, first out, bounded by count and by bytes. A full queue answers `false`: the caller
 * decides what that means and counts it.
 */
export class BoundedQueue<T> {
  readonly #countMax: number;
  readonly #bytesMax: number;
  readonly #bytesOf: (item: T) => number;
  #items: (T | undefined)[] = [];
  #head = 0;
  #bytes = 0;

  constructor(options: { countMax: number; bytesMax: number; bytesOf: (item: T) => number }) {
    this.#countMax = options.countMax;
    this.#bytesMax = options.bytesMax;
    this.#bytesOf = options.bytesOf;
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** False when the item would overstep a bound; an empty queue takes any one item. */
  offer(item: T): boolean {
    const bytes = this.#bytesOf(item);
    const full = this.length >= this.#countMax || this.#bytes + bytes > this.#bytesMax;
    if (full && this.length > 0) return false;
    this.#items.push(item);
    this.#bytes += bytes;
    return true;
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  take(): T | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head] = undefined;
    this.#head++;
    this.#bytes -= this.#bytesOf(item);
    // Moving the rest down costs as much as was taken since the last time: constant on average.
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes out what is to be removed; asks once for each item, in order, until told to stop. */
  removeWhere(verdict: (item: T) => 'remove' | 'keep' | 'stop'): void {
    const kept: T[] = [];
    let at = this.#head;
    for (; at < this.#items.length; at++) {
      const item = this.#items[at] as T;
      const what = verdict(item);
      if (what === 'stop') break;
      if (what === 'remove') this.#bytes -= this.#bytesOf(item);
      else kept.push(item);
    }
    this.#items = [...kept, ...this.#items.slice(at)];
    this.#head = 0;
  }

  clear(): void {
    this.#items = [];
    this.#head = 0;
    this.#bytes = 0;
  }
}
