/**
 * Which values hold a filter that matches a topic. Exact filters stand in a map, wildcard filters
 * in a trie; the matches of recently seen topics are kept until a filter comes or goes.
 * A value may be added once per filter; `match` may give one value several times when several of
 * its filters match, each with the detail that was stored for it.
 */
import { hasWildcard } from './topic.ts';

/** Topics whose matches are kept. Past it the whole cache is dropped, which costs one trie walk
 * per topic and no bookkeeping per hit. */
const cachedTopicsMax = 20_000;

/** Longer topics are looked up each time: a topic may have 64 KiB, which would be the cache's. */
const cachedTopicLengthMax = 512;

/** Matches kept, of all topics together: many topics with many holders each would fill the memory. */
const cachedMatchesMax = 1_000_000;

export interface IndexEntry<V, D> {
  readonly value: V;
  readonly detail: D;
}

interface TrieNode<V, D> {
  children: Map<string, TrieNode<V, D>> | null;
  /** Values whose filter ends here. */
  here: Map<V, IndexEntry<V, D>> | null;
  /** Values whose filter ends with `#` below here. */
  below: Map<V, IndexEntry<V, D>> | null;
}

export class TopicIndex<V, D> {
  readonly #exact = new Map<string, Map<V, IndexEntry<V, D>>>();
  readonly #root: TrieNode<V, D> = newNode();
  readonly #cache = new Map<string, readonly IndexEntry<V, D>[]>();
  #cachedMatches = 0;
  #entries = 0;

  /** Filters times values. */
  get size(): number {
    return this.#entries;
  }

  /** Adds or replaces; true when the value did not hold the filter before. */
  add(filter: string, value: V, detail: D): boolean {
    const entry = { value, detail };
    const holders = hasWildcard(filter) ? this.#wildHolders(filter) : this.#exactHolders(filter);
    const isNew = !holders.has(value);
    holders.set(value, entry);
    if (isNew) this.#entries++;
    this.#forget(filter);
    return isNew;
  }

  /** True when the value held the filter. */
  remove(filter: string, value: V): boolean {
    const removed = hasWildcard(filter)
      ? this.#removeWild(filter, value)
      : this.#removeExact(filter, value);
    if (!removed) return false;
    this.#entries--;
    this.#forget(filter);
    return true;
  }

  /** Values of every filter that matches the topic. The array is shared: do not change it. */
  match(topic: string): readonly IndexEntry<V, D>[] {
    const known = this.#cache.get(topic);
    if (known !== undefined) return known;
    const found: IndexEntry<V, D>[] = [];
    const exact = this.#exact.get(topic);
    if (exact !== undefined) pushAll(found, exact);
    const levels = topic.split('/');
    collect(this.#root, { levels, at: 0, hidden: topic.startsWith('$') }, found);
    if (topic.length <= cachedTopicLengthMax) this.#keep(topic, found);
    return found;
  }

  /** Whether anything at all would match, without naming it. */
  matches(topic: string): boolean {
    return this.match(topic).length > 0;
  }

  #keep(topic: string, found: readonly IndexEntry<V, D>[]): void {
    const isFull =
      this.#cache.size >= cachedTopicsMax || this.#cachedMatches + found.length > cachedMatchesMax;
    if (isFull) this.#clearCache();
    this.#cache.set(topic, found);
    this.#cachedMatches += found.length;
  }

  #forget(filter: string): void {
    if (hasWildcard(filter)) {
      this.#clearCache();
      return;
    }
    this.#cachedMatches -= this.#cache.get(filter)?.length ?? 0;
    this.#cache.delete(filter);
  }

  #clearCache(): void {
    this.#cache.clear();
    this.#cachedMatches = 0;
  }

  #exactHolders(filter: string): Map<V, IndexEntry<V, D>> {
    let holders = this.#exact.get(filter);
    if (holders === undefined) {
      holders = new Map();
      this.#exact.set(filter, holders);
    }
    return holders;
  }

  #wildHolders(filter: string): Map<V, IndexEntry<V, D>> {
    const levels = filter.split('/');
    const open = levels.at(-1) === '#';
    if (open) levels.pop();
    let node = this.#root;
    for (const level of levels) {
      node.children ??= new Map();
      let child = node.children.get(level);
      if (child === undefined) {
        child = newNode();
        node.children.set(level, child);
      }
      node = child;
    }
    if (open) {
      node.below ??= new Map();
      return node.below;
    }
    node.here ??= new Map();
    return node.here;
  }

  #removeExact(filter: string, value: V): boolean {
    const holders = this.#exact.get(filter);
    if (holders?.delete(value) !== true) return false;
    if (holders.size === 0) this.#exact.delete(filter);
    return true;
  }

  #removeWild(filter: string, value: V): boolean {
    const levels = filter.split('/');
    const open = levels.at(-1) === '#';
    if (open) levels.pop();
    const path: TrieNode<V, D>[] = [this.#root];
    for (const level of levels) {
      const child = path.at(-1)?.children?.get(level);
      if (child === undefined) return false;
      path.push(child);
    }
    const node = path.at(-1) as TrieNode<V, D>;
    const holders = open ? node.below : node.here;
    if (holders?.delete(value) !== true) return false;
    if (holders.size === 0) {
      if (open) node.below = null;
      else node.here = null;
    }
    prune(path, levels);
    return true;
  }
}

function newNode<V, D>(): TrieNode<V, D> {
  return { children: null, here: null, below: null };
}

interface Walk {
  readonly levels: readonly string[];
  readonly at: number;
  /** [MQTT-4.7.2-1] a wildcard first level never matches $-topics. */
  readonly hidden: boolean;
}

/** One by one: arguments of a call stand on the stack, which 120,000 holders overflow. */
function pushAll<V, D>(found: IndexEntry<V, D>[], holders: ReadonlyMap<V, IndexEntry<V, D>>): void {
  for (const entry of holders.values()) found.push(entry);
}

function collect<V, D>(node: TrieNode<V, D>, walk: Walk, found: IndexEntry<V, D>[]): void {
  const hideWild = walk.hidden && walk.at === 0;
  if (node.below !== null && !hideWild) pushAll(found, node.below);
  if (walk.at === walk.levels.length) {
    if (node.here !== null) pushAll(found, node.here);
    return;
  }
  if (node.children === null) return;
  const next = { ...walk, at: walk.at + 1 };
  const named = node.children.get(walk.levels[walk.at] as string);
  if (named !== undefined) collect(named, next, found);
  const any = hideWild ? undefined : node.children.get('+');
  if (any !== undefined) collect(any, next, found);
}

/** Drops empty nodes from the end of the path upwards. */
function prune<V, D>(path: readonly TrieNode<V, D>[], levels: readonly string[]): void {
  for (let i = path.length - 1; i > 0; i--) {
    const node = path[i] as TrieNode<V, D>;
    if (node.here !== null || node.below !== null || (node.children?.size ?? 0) > 0) return;
    path[i - 1]?.children?.delete(levels[i - 1] as string);
  }
}
