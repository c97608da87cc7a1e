/**
 * One lane of the spool: how far its places were given out, are on disk, were sent and are durable
 * at the core. What waits for the core has an entry each; what the core has acknowledged and the
 * spool still retains has none, and is found by its segment.
 */
export class SpoolLane {
  /** The last place given out. */
  newest = 0;
  /** The last place that is on disk. */
  durable = 0;
  /** The last place that was sent, or that an earlier run left. */
  sent = 0;
  /** Everything up to here is durable at the core. */
  acknowledged = 0;
  /** The lowest place that can be read and sent again. */
  oldest = 1;
  /** Spool sequences from a place on up to the newest. Negative for a place whose record is damaged:
   * the sequence that the log is still needed from. */
  #waiting: number[] = [];
  /** How many at the head of `#waiting` are done with; cut off now and then. */
  #head = 0;

  /** The next places, taken by what has these spool sequences; answers the first. */
  assign(sequence: number, count: number): number {
    const first = this.newest + 1;
    this.newest += count;
    for (let i = 0; i < count; i++) this.#waiting.push(sequence + i);
    return first;
  }

  /** A record found on start: its place was given out by an earlier run. */
  restore(place: number, sequence: number): void {
    this.restoreThrough(place - 1, sequence);
    this.newest = place;
    this.durable = place;
    this.sent = place;
    this.#waiting.push(sequence);
  }

  /** Places up to this one were given out. Those that no record was found for are damaged, unless
   * they stand before the first that was found: these were freed. */
  restoreThrough(through: number, sequence: number): void {
    if (through <= this.newest) return;
    if (this.#waiting.length > 0) {
      for (let place = this.newest; place < through; place++) this.#waiting.push(-sequence);
    } else {
      this.acknowledged = through;
      this.oldest = through + 1;
    }
    this.newest = through;
    this.durable = through;
    this.sent = through;
  }

  /** All records were found: what the last run knew of the core. */
  restored(known: { readonly acknowledged: number; readonly oldest: number }): void {
    const first = this.#firstWaiting;
    this.oldest = Math.max(this.oldest, Math.min(known.oldest, this.newest + 1));
    this.acknowledged = Math.max(
      this.acknowledged,
      this.oldest - 1,
      Math.min(known.acknowledged, this.newest),
    );
    // Nothing can be sent again across a place that is damaged.
    for (let place = this.acknowledged; place >= this.oldest; place--) {
      if ((this.#waiting[place - first] as number) >= 0) continue;
      this.oldest = place + 1;
      break;
    }
    this.#trim();
  }

  acknowledge(through: number): void {
    this.acknowledged = Math.max(this.acknowledged, Math.min(through, this.durable));
    this.#trim();
  }

  /** The core has less than it acknowledged; answers how many are to be sent again. */
  regress(through: number): number {
    const before = this.acknowledged;
    this.acknowledged = Math.min(before, Math.max(through, this.oldest - 1));
    return before - this.acknowledged;
  }

  /** Nothing below the place is read any more. */
  release(place: number): void {
    this.oldest = Math.max(this.oldest, Math.min(place, this.acknowledged + 1));
  }

  /** Spool sequence of a place that has waited all the time; undefined for one that is to be found by
   * its segment, or that is still to come. */
  sequenceOf(place: number): number | undefined {
    const first = this.#firstWaiting;
    if (place < first) return undefined;
    const sequence = this.#waiting[this.#head + place - first];
    return sequence === undefined ? undefined : Math.abs(sequence);
  }

  get #firstWaiting(): number {
    return this.newest - (this.#waiting.length - this.#head) + 1;
  }

  #trim(): void {
    this.#head += Math.max(0, this.acknowledged + 1 - this.#firstWaiting);
    if (this.acknowledged + 1 === this.#firstWaiting) {
      // What is damaged never goes up: the lane goes on behind it.
      while ((this.#waiting[this.#head] ?? 0) < 0) {
        this.#head++;
        this.acknowledged++;
        this.oldest = this.acknowledged + 1;
      }
    }
    if (this.#head > 4096 && this.#head * 2 > this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
  }
}
