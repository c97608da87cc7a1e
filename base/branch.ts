/**
 * Children of a node in a tree of topic levels, by name. Most nodes of a large tree have one child:
 * that stands in the node itself, and a map is made for the second. A child stays where it is, so
 * that one who walks the children while others come and go meets each that stays once.
 */
export interface Branch<N> {
  /** Name of `first`; empty levels are names too, so this says nothing without that. */
  firstName: string;
  first: N | null;
  /** All but the first. */
  others: Map<string, N> | null;
}

export function isBare<N>(node: Branch<N>): boolean {
  return node.first === null && node.others === null;
}

export function childOf<N>(node: Branch<N>, name: string): N | null {
  if (node.first !== null && node.firstName === name) return node.first;
  return node.others?.get(name) ?? null;
}

/** There is no child of this name yet. */
export function addChild<N>(node: Branch<N>, name: string, child: N): void {
  if (node.first === null) {
    node.firstName = name;
    node.first = child;
    return;
  }
  node.others ??= new Map();
  node.others.set(name, child);
}

export function dropChild<N>(node: Branch<N>, name: string): void {
  if (node.first !== null && node.firstName === name) {
    node.first = null;
    node.firstName = '';
  } else if (node.others?.delete(name) === true && node.others.size === 0) node.others = null;
}

/** One after the other, each as it is when its turn comes; null when there are no more. */
export class ChildWalk<N> {
  readonly #node: Branch<N>;
  #others: Iterator<[string, N]> | null = null;
  #isPastFirst = false;
  name = '';

  constructor(node: Branch<N>) {
    this.#node = node;
  }

  next(): N | null {
    if (!this.#isPastFirst) {
      this.#isPastFirst = true;
      const { first, firstName } = this.#node;
      if (first !== null) {
        this.name = firstName;
        return first;
      }
    }
    this.#others ??= this.#node.others?.entries() ?? null;
    const next = this.#others?.next();
    if (next === undefined || next.done === true) return null;
    this.name = next.value[0];
    return next.value[1];
  }
}
