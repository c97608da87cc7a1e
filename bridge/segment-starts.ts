/**
 * Where each segment of the spool begins on every lane: by it a place is found that has no entry of
 * its own any more, and what a segment holds is known to be past.
 */
interface Start {
  readonly sequence: number;
  /** The first place of each lane that is in this segment or behind it. */
  readonly places: readonly number[];
}

export class SegmentStarts {
  #starts: Start[] = [];

  begin(start: Start): void {
    if (this.#starts.at(-1)?.sequence === start.sequence) this.#starts.pop();
    this.#starts.push(start);
  }

  /** The spool sequence to look for a place of a lane from; Infinity when there is no segment. */
  sequenceOf(lane: number, place: number): number {
    const start = this.#starts.findLast(({ places }) => (places[lane] ?? 1) <= place);
    return (start ?? this.#starts[0])?.sequence ?? Number.POSITIVE_INFINITY;
  }

  /** The first places of the segment that begins with this sequence. */
  placesOf(sequence: number): readonly number[] {
    return this.#starts.find((start) => start.sequence === sequence)?.places ?? [];
  }

  /** The segments before this sequence are gone. */
  freed(before: number): void {
    this.#starts = this.#starts.filter(({ sequence }) => sequence >= before);
  }
}
