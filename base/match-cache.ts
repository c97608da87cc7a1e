/**
 * Answers of an index for the topics that were asked for lately, in two generations: the younger
 * fills up, becomes the older, and what is not asked for again goes with that. It costs no
 * bookkeeping per hit, and unlike a cache that is dropped whole it never forgets what is in use.
 */

/** Topics of one generation. Past it a topic costs one walk through the index each time. */
const topicsMax = 20_000;

/** Longer topics are looked up each time: a topic may have 64 KiB, which would be the cache's. */
const topicLengthMax = 512;

/** Matches of one generation: many topics with many holders each would fill the memory. */
const matchesMax = 1_000_000;

export interface Remembered<E, C> {
  readonly matches: readonly E[];
  /** Of the index, when the answer was last known to hold. */
  version: number;
  /** What the index's owner made of the matches; null until it has. */
  compiled: C | null;
}

export class MatchCache<E, C> {
  #young = new Map<string, Remembered<E, C>>();
  #old = new Map<string, Remembered<E, C>>();
  #youngMatches = 0;

  get(topic: string): Remembered<E, C> | undefined {
    const young = this.#young.get(topic);
    if (young !== undefined) return young;
    const old = this.#old.get(topic);
    if (old === undefined) return undefined;
    this.#old.delete(topic);
    this.keep(topic, old);
    return old;
  }

  keep(topic: string, remembered: Remembered<E, C>): void {
    if (topic.length > topicLengthMax || remembered.matches.length > matchesMax) return;
    const isFull =
      this.#young.size >= topicsMax || this.#youngMatches + remembered.matches.length > matchesMax;
    if (isFull) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#youngMatches = 0;
    }
    this.#young.set(topic, remembered);
    this.#youngMatches += remembered.matches.length;
  }

  forget(topic: string): void {
    this.#youngMatches -= this.#young.get(topic)?.matches.length ?? 0;
    this.#young.delete(topic);
    this.#old.delete(topic);
  }
}
