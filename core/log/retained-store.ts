/**
 * Retained messages in memory, by topic and by level, so that a filter finds its own without
 * looking at the others. The backplane keeps them; this is filled at open and on each commit.
 */
import type { Publication } from '../../base/publication.ts';
import { hasWildcard } from '../../base/topic.ts';

interface Node {
  readonly children: Map<string, Node>;
  message: Publication | null;
}

export class RetainedStore {
  readonly #byTopic = new Map<string, Publication>();
  readonly #root: Node = newNode();

  get size(): number {
    return this.#byTopic.size;
  }

  /** An empty payload deletes what the topic had. */
  set(publication: Publication): void {
    if (publication.payload.length === 0) {
      this.#delete(publication.topic);
      return;
    }
    const { payload, properties } = publication;
    const kept = {
      ...publication,
      retain: true,
      // Kept for long, while the message it is a view of is large.
      payload: Buffer.from(payload),
      properties: properties === null ? null : Buffer.from(properties),
    };
    this.#byTopic.set(publication.topic, kept);
    let node = this.#root;
    for (const level of publication.topic.split('/')) {
      let child = node.children.get(level);
      if (child === undefined) {
        child = newNode();
        node.children.set(level, child);
      }
      node = child;
    }
    node.message = kept;
  }

  match(filter: string): Publication[] {
    if (!hasWildcard(filter)) {
      const message = this.#byTopic.get(filter);
      return message === undefined ? [] : [message];
    }
    const found: Publication[] = [];
    collect(this.#root, { levels: filter.split('/'), at: 0 }, found);
    return found;
  }

  #delete(topic: string): void {
    if (!this.#byTopic.delete(topic)) return;
    const levels = topic.split('/');
    const path = [this.#root];
    for (const level of levels) {
      const child = path.at(-1)?.children.get(level);
      if (child === undefined) return;
      path.push(child);
    }
    (path.at(-1) as Node).message = null;
    for (let i = path.length - 1; i > 0; i--) {
      const node = path[i] as Node;
      if (node.message !== null || node.children.size > 0) return;
      path[i - 1]?.children.delete(levels[i - 1] as string);
    }
  }
}

function newNode(): Node {
  return { children: new Map(), message: null };
}

interface Walk {
  readonly levels: readonly string[];
  readonly at: number;
}

function collect(node: Node, walk: Walk, found: Publication[]): void {
  const { levels, at } = walk;
  if (at === levels.length) {
    if (node.message !== null) found.push(node.message);
    return;
  }
  const level = levels[at] as string;
  const next = { levels, at: at + 1 };
  if (level === '#') {
    collectAll(node, at === 0, found);
  } else if (level === '+') {
    for (const [name, child] of node.children) {
      if (!isHidden(name, at === 0)) collect(child, next, found);
    }
  } else {
    const child = node.children.get(level);
    if (child !== undefined) collect(child, next, found);
  }
}

/** `#` matches its parent level too. */
function collectAll(node: Node, isFirst: boolean, found: Publication[]): void {
  if (node.message !== null) found.push(node.message);
  for (const [name, child] of node.children) {
    if (!isHidden(name, isFirst)) collectAll(child, false, found);
  }
}

/** [MQTT-4.7.2-1] a wildcard first level never matches $-topics. */
function isHidden(name: string, isFirst: boolean): boolean {
  return isFirst && name.startsWith('$');
}
