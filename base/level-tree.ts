/**
 * Values by topic, in a tree of topic levels: a topic is found in as many steps as it has levels, and
 * a filter finds its own without looking at the others.
 *
 * A wide filter visits many nodes, so it is walked in steps, and the tree may change between them: a
 * topic that is there all along is found exactly once, one that comes or goes meanwhile at most is or
 * is not, and what is found is what the topic has at that moment.
 */
import { addChild, type Branch, ChildWalk, childOf, dropChild, isBare } from './branch.ts';

interface Level<V> extends Branch<Level<V>> {
  value: V | undefined;
}

/** A level whose children the filter asks for. */
interface Frame<V> {
  readonly children: ChildWalk<Level<V>>;
  /** The level of the filter that stands behind the children's; those of `#` stay at it. */
  readonly at: number;
}

export class LevelTree<V> {
  readonly #root: Level<V> = newLevel();
  #size = 0;

  /** Topics that have a value. */
  get size(): number {
    return this.#size;
  }

  get(topic: string): V | undefined {
    let level = this.#root;
    for (const name of topic.split('/')) {
      const child = childOf(level, name);
      if (child === null) return undefined;
      level = child;
    }
    return level.value;
  }

  /** Answers what the topic had before. */
  set(topic: string, value: V): V | undefined {
    let level = this.#root;
    for (const name of topic.split('/')) {
      let child = childOf(level, name);
      if (child === null) {
        child = newLevel();
        addChild(level, name, child);
      }
      level = child;
    }
    const before = level.value;
    if (before === undefined) this.#size++;
    level.value = value;
    return before;
  }

  /** Answers what the topic had. */
  delete(topic: string): V | undefined {
    const names = topic.split('/');
    const path: Level<V>[] = [this.#root];
    for (const name of names) {
      const child = childOf(path.at(-1) as Level<V>, name);
      if (child === null) return undefined;
      path.push(child);
    }
    const last = path.at(-1) as Level<V>;
    const { value } = last;
    if (value === undefined) return undefined;
    last.value = undefined;
    this.#size--;
    prune(path, names);
    return value;
  }

  /** Values of all topics that the filter matches, at once. */
  match(filter: string): V[] {
    const found: V[] = [];
    for (const step of this.walk(filter, Number.POSITIVE_INFINITY)) {
      for (const value of step) found.push(value);
    }
    return found;
  }

  /** The same in steps of so many nodes, whether they have a value or not; a step may be empty. */
  walk(filter: string, nodesMax: number): Iterable<readonly V[]> {
    return new Walk(this.#root, filter.split('/')).steps(nodesMax);
  }

  /** Every topic, also those whose first level begins with `$`; else as `walk`. */
  walkAll(nodesMax: number): Iterable<readonly V[]> {
    return new Walk(this.#root, ['#'], { withHidden: true }).steps(nodesMax);
  }
}

class Walk<V> {
  readonly #names: readonly string[];
  readonly #withHidden: boolean;
  readonly #frames: Frame<V>[] = [];
  #found: V[] = [];

  constructor(root: Level<V>, names: readonly string[], options?: { withHidden: boolean }) {
    this.#names = names;
    this.#withHidden = options?.withHidden ?? false;
    this.#enter(root, 0);
  }

  *steps(nodesMax: number): Generator<readonly V[]> {
    let left = nodesMax;
    for (;;) {
      const frame = this.#frames.at(-1);
      if (frame === undefined) break;
      const child = frame.children.next();
      if (child === null) this.#frames.pop();
      else if (!this.#isHidden(frame.children.name)) this.#enter(child, frame.at);
      if (--left > 0) continue;
      yield this.#take();
      left = nodesMax;
    }
    yield this.#take();
  }

  /** Follows named levels at once; stays at the first level whose children must be gone through. */
  #enter(from: Level<V>, fromLevel: number): void {
    let level = from;
    for (let at = fromLevel; ; at++) {
      const name = this.#names[at];
      if (name === undefined) {
        this.#find(level);
        return;
      }
      if (name === '#') {
        // "sport/#" also matches "sport" [MQTT-4.7.1-2].
        this.#find(level);
        this.#push(level, at);
        return;
      }
      if (name === '+') {
        this.#push(level, at + 1);
        return;
      }
      const child = childOf(level, name);
      if (child === null) return;
      level = child;
    }
  }

  #push(level: Level<V>, at: number): void {
    if (!isBare(level)) this.#frames.push({ children: new ChildWalk(level), at });
  }

  #find({ value }: Level<V>): void {
    if (value !== undefined) this.#found.push(value);
  }

  /** [MQTT-4.7.2-1] a wildcard first level never matches $-topics. */
  #isHidden(name: string): boolean {
    const isFirst = this.#frames.length === 1 && isWildcard(this.#names[0]);
    return isFirst && !this.#withHidden && name.startsWith('$');
  }

  #take(): readonly V[] {
    const found = this.#found;
    this.#found = [];
    return found;
  }
}

function isWildcard(name: string | undefined): boolean {
  return name === '#' || name === '+';
}

function newLevel<V>(): Level<V> {
  return { value: undefined, firstName: '', first: null, others: null };
}

/** Drops empty levels from the end of the path upwards. */
function prune<V>(path: readonly Level<V>[], names: readonly string[]): void {
  for (let i = path.length - 1; i > 0; i--) {
    const level = path[i] as Level<V>;
    if (level.value !== undefined || !isBare(level)) return;
    dropChild(path[i - 1] as Level<V>, names[i - 1] as string);
  }
}
