/**
 * Which values hold a filter that matches a topic. Exact filters stand in a map, wildcard filters
 * in a trie; the matches of recently seen topics are kept as long as they hold.
 * A value may be added once per filter; `match` may give one value several times when several of
 * its filters match, each with the detail that was stored for it.
 *
 * Made for a million filters, most of which have one holder and nodes with one child: neither costs
 * a map before there is a second one.
 */
import { addChild, type Branch, childOf, dropChild, isBare } from './branch.ts';
import { MatchCache, type Remembered } from './match-cache.ts';
import { hasWildcard, levelsMatch } from './topic.ts';

/** Changed wildcard filters that are remembered: a kept answer that none of them touches still
 * holds. More of them than this between two questions, and the trie is walked again. */
const recentChangesMax = 128;

export interface IndexEntry<V, D> {
  readonly value: V;
  readonly detail: D;
}

/** Who holds one filter: a map only from the second on. */
type Holders<V, D> = IndexEntry<V, D> | Map<V, IndexEntry<V, D>>;

interface TrieNode<V, D> extends Branch<TrieNode<V, D>> {
  /** The child `+`; it is not among the others. */
  any: TrieNode<V, D> | null;
  /** Values whose filter ends here. */
  here: Holders<V, D> | null;
  /** Values whose filter ends with `#` below here. */
  below: Holders<V, D> | null;
}

export class TopicIndex<V, D, C = null> {
  readonly #exact = new Map<string, Holders<V, D>>();
  readonly #root: TrieNode<V, D> = newNode();
  readonly #cache = new MatchCache<IndexEntry<V, D>, C>();
  /** The last wildcard filters that came or went, by level; the newest has `#version`. */
  readonly #changes: (readonly string[])[] = [];
  #version = 0;
  #entries = 0;

  /** Filters times values. */
  get size(): number {
    return this.#entries;
  }

  /** Adds or replaces; true when the value did not hold the filter before. */
  add(filter: string, value: V, detail: D): boolean {
    const entry = { value, detail };
    const isNew = hasWildcard(filter)
      ? this.#addWild(filter, entry)
      : this.#addExact(filter, entry);
    if (isNew) this.#entries++;
    return isNew;
  }

  /** True when the value held the filter. */
  remove(filter: string, value: V): boolean {
    const isRemoved = hasWildcard(filter)
      ? this.#removeWild(filter, value)
      : this.#removeExact(filter, value);
    if (isRemoved) this.#entries--;
    return isRemoved;
  }

  /** Values of every filter that matches the topic. The array is shared: do not change it. It is
   * the same one as long as nothing in it changes. */
  match(topic: string): readonly IndexEntry<V, D>[] {
    return this.remember(topic).matches;
  }

  /** The same, with a place for what the caller makes of it, which is kept as long as it holds. */
  remember(topic: string): Remembered<IndexEntry<V, D>, C> {
    const known = this.#cache.get(topic);
    if (known === undefined) return this.#keep(topic, this.#find(topic));
    return known.version === this.#version ? known : this.#renew(topic, known);
  }

  /** Whether anything at all would match, without naming it. */
  matches(topic: string): boolean {
    return this.match(topic).length > 0;
  }

  #keep(topic: string, matches: readonly IndexEntry<V, D>[]): Remembered<IndexEntry<V, D>, C> {
    const remembered = { matches, version: this.#version, compiled: null };
    this.#cache.keep(topic, remembered);
    return remembered;
  }

  /** What is known of the topic is of before some wildcard filters came or went. */
  #renew(topic: string, known: Remembered<IndexEntry<V, D>, C>): Remembered<IndexEntry<V, D>, C> {
    if (this.#isTouched(topic, known.version)) {
      const matches = this.#find(topic);
      if (!isSame(matches, known.matches)) {
        this.#cache.forget(topic);
        return this.#keep(topic, matches);
      }
    }
    known.version = this.#version;
    return known;
  }

  #isTouched(topic: string, version: number): boolean {
    const missed = this.#version - version;
    const changes = this.#changes;
    if (missed > changes.length) return true;
    const levels = topic.split('/');
    for (let i = changes.length - missed; i < changes.length; i++) {
      if (levelsMatch(changes[i] as readonly string[], levels)) return true;
    }
    return false;
  }

  #find(topic: string): readonly IndexEntry<V, D>[] {
    const found: IndexEntry<V, D>[] = [];
    pushAll(found, this.#exact.get(topic) ?? null);
    const root = this.#root;
    // [MQTT-4.7.2-1] a wildcard first level never matches $-topics.
    if (topic.startsWith('$')) {
      const first = topic.split('/', 1)[0] as string;
      const named = childOf(root, first);
      if (named !== null) collect(named, topic, first.length + 1, found);
    } else collect(root, topic, 0, found);
    return found;
  }

  #changed(levels: readonly string[]): void {
    this.#version++;
    this.#changes.push(levels);
    if (this.#changes.length > recentChangesMax) this.#changes.shift();
  }

  #addExact(filter: string, entry: IndexEntry<V, D>): boolean {
    const before = this.#exact.get(filter) ?? null;
    const isNew = !holds(before, entry.value);
    this.#exact.set(filter, withEntry(before, entry));
    this.#cache.forget(filter);
    return isNew;
  }

  #removeExact(filter: string, value: V): boolean {
    const before = this.#exact.get(filter) ?? null;
    if (!holds(before, value)) return false;
    const after = without(before, value);
    if (after === null) this.#exact.delete(filter);
    else this.#exact.set(filter, after);
    this.#cache.forget(filter);
    return true;
  }

  #addWild(filter: string, entry: IndexEntry<V, D>): boolean {
    const levels = filter.split('/');
    const isOpen = levels.at(-1) === '#';
    let node = this.#root;
    for (let at = 0; at < levels.length - (isOpen ? 1 : 0); at++) {
      node = obtainLevel(node, levels[at] as string);
    }
    const before = isOpen ? node.below : node.here;
    const isNew = !holds(before, entry.value);
    if (isOpen) node.below = withEntry(before, entry);
    else node.here = withEntry(before, entry);
    this.#changed(levels);
    return isNew;
  }

  #removeWild(filter: string, value: V): boolean {
    const levels = filter.split('/');
    const isOpen = levels.at(-1) === '#';
    const path: TrieNode<V, D>[] = [this.#root];
    for (let at = 0; at < levels.length - (isOpen ? 1 : 0); at++) {
      const child = levelOf(path[at] as TrieNode<V, D>, levels[at] as string);
      if (child === null) return false;
      path.push(child);
    }
    const node = path.at(-1) as TrieNode<V, D>;
    const before = isOpen ? node.below : node.here;
    if (!holds(before, value)) return false;
    if (isOpen) node.below = without(before, value);
    else node.here = without(before, value);
    prune(path, levels);
    this.#changed(levels);
    return true;
  }
}

function newNode<V, D>(): TrieNode<V, D> {
  return { any: null, firstName: '', first: null, others: null, here: null, below: null };
}

function levelOf<V, D>(node: TrieNode<V, D>, name: string): TrieNode<V, D> | null {
  return name === '+' ? node.any : childOf(node, name);
}

function obtainLevel<V, D>(node: TrieNode<V, D>, name: string): TrieNode<V, D> {
  const present = levelOf(node, name);
  if (present !== null) return present;
  const level = newNode<V, D>();
  if (name === '+') node.any = level;
  else addChild(node, name, level);
  return level;
}

function isEmpty<V, D>(node: TrieNode<V, D>): boolean {
  return node.here === null && node.below === null && node.any === null && isBare(node);
}

function holds<V, D>(holders: Holders<V, D> | null, value: V): boolean {
  if (holders === null) return false;
  return holders instanceof Map ? holders.has(value) : holders.value === value;
}

function withEntry<V, D>(holders: Holders<V, D> | null, entry: IndexEntry<V, D>): Holders<V, D> {
  if (holders === null) return entry;
  if (holders instanceof Map) return holders.set(entry.value, entry);
  if (holders.value === entry.value) return entry;
  return new Map([
    [holders.value, holders],
    [entry.value, entry],
  ]);
}

/** The value is one of the holders. */
function without<V, D>(holders: Holders<V, D> | null, value: V): Holders<V, D> | null {
  if (!(holders instanceof Map)) return null;
  holders.delete(value);
  if (holders.size > 1) return holders;
  for (const last of holders.values()) return last;
  return null;
}

/** One by one: arguments of a call stand on the stack, which 120,000 holders overflow. */
function pushAll<V, D>(found: IndexEntry<V, D>[], holders: Holders<V, D> | null): void {
  if (holders === null) return;
  if (holders instanceof Map) for (const entry of holders.values()) found.push(entry);
  else found.push(holders);
}

/** `start` is where the topic's next level begins; past its end there is none. Levels are cut out only
 * where somebody asks for one: most walks end early. */
function collect<V, D>(
  node: TrieNode<V, D>,
  topic: string,
  start: number,
  found: IndexEntry<V, D>[],
): void {
  pushAll(found, node.below);
  if (start > topic.length) {
    pushAll(found, node.here);
    return;
  }
  const isEnd = isBare(node);
  if (isEnd && node.any === null) return;
  const slash = topic.indexOf('/', start);
  const end = slash < 0 ? topic.length : slash;
  const named = isEnd ? null : childOf(node, topic.slice(start, end));
  if (named !== null) collect(named, topic, end + 1, found);
  if (node.any !== null) collect(node.any, topic, end + 1, found);
}

function isSame<E>(one: readonly E[], other: readonly E[]): boolean {
  return one.length === other.length && one.every((entry, index) => entry === other[index]);
}

/** Drops empty nodes from the end of the path upwards. */
function prune<V, D>(path: readonly TrieNode<V, D>[], levels: readonly string[]): void {
  for (let i = path.length - 1; i > 0; i--) {
    if (!isEmpty(path[i] as TrieNode<V, D>)) return;
    const parent = path[i - 1] as TrieNode<V, D>;
    const name = levels[i - 1] as string;
    if (name === '+') parent.any = null;
    else dropChild(parent, name);
  }
}
