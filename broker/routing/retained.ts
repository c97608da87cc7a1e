/**
 * Retained messages by topic, with an index by level for wildcard lookups. The newest by order of
 * arrival wins; what this edge has on its way up wins over what comes down, because the core will
 * order it later.
 * Source: MQTT 3.1.1 section 3.3.1.3.
 */
import type { Publication, Qos } from '../../base/publication.ts';
import type { MessageLog } from '../ports.ts';
import type { RetainedRow, StateStore } from '../store/state-store.ts';

interface Entry {
  readonly publication: Publication;
  /** Sequence in the log, 0 for what came down without one. */
  readonly sequence: number;
  /** Counts up with every change here, to tell what a snapshot did not confirm. */
  readonly stamp: number;
}

interface Level {
  entry: Entry | null;
  children: Map<string, Level> | null;
}

export class Retained {
  readonly #store: StateStore;
  readonly #log: Pick<MessageLog, 'isUplinkPending'>;
  readonly #root: Level = { entry: null, children: null };
  #stamp = 0;
  #count = 0;

  constructor(store: StateStore, log: Pick<MessageLog, 'isUplinkPending'>) {
    this.#store = store;
    this.#log = log;
  }

  get count(): number {
    return this.#count;
  }

  /** A mark for `dropUnconfirmed`. */
  get stamp(): number {
    return this.#stamp;
  }

  restore(rows: readonly RetainedRow[]): void {
    for (const row of rows) {
      this.#put(row.topic, {
        sequence: row.sequence,
        stamp: 0,
        publication: {
          topic: row.topic,
          payload: row.payload,
          properties: row.properties,
          qos: row.qos as Qos,
          retain: true,
          acceptedAt: row.accepted_at,
          origin: row.origin,
        },
      });
    }
  }

  /** Keeps, replaces or (empty payload) deletes. `sequence` is 0 for what is not in the log. */
  set(publication: Publication, sequence: number): void {
    const { topic } = publication;
    const present = this.#find(topic)?.entry ?? null;
    if (present !== null && this.#isOlder(publication, sequence, present)) return;
    if (publication.payload.length === 0) {
      this.#delete(topic);
      return;
    }
    // Kept for long: not as a view of the chunk that it came in.
    const payload = Buffer.from(publication.payload);
    const kept = { ...publication, payload };
    this.#put(topic, { publication: kept, sequence, stamp: ++this.#stamp });
    this.#store.retained.put([
      topic,
      sequence,
      kept.qos,
      kept.payload,
      kept.properties,
      kept.acceptedAt,
      kept.origin,
    ]);
  }

  /** Every retained message that the filter matches. */
  match(filter: string): Publication[] {
    return this.#entries(filter).map((entry) => entry.publication);
  }

  /** Whether it is still what the topic has. */
  isCurrent(publication: Publication): boolean {
    return this.#find(publication.topic)?.entry?.publication === publication;
  }

  /** After the core has sent all it holds for the filter: what it did not name was deleted there. */
  dropUnconfirmed(filter: string, stamp: number): void {
    for (const entry of this.#entries(filter)) {
      const { topic } = entry.publication;
      if (entry.stamp > stamp || this.#log.isUplinkPending(topic, entry.sequence)) continue;
      this.#delete(topic);
    }
  }

  #isOlder(publication: Publication, sequence: number, present: Entry): boolean {
    const isOwn = publication.origin === '';
    if (isOwn) return sequence !== 0 && sequence < present.sequence;
    return (
      present.publication.origin === '' &&
      present.sequence > 0 &&
      this.#log.isUplinkPending(publication.topic, present.sequence)
    );
  }

  #put(topic: string, entry: Entry): void {
    let level = this.#root;
    for (const name of topic.split('/')) {
      level.children ??= new Map();
      let child = level.children.get(name);
      if (child === undefined) {
        child = { entry: null, children: null };
        level.children.set(name, child);
      }
      level = child;
    }
    if (level.entry === null) this.#count++;
    level.entry = entry;
  }

  #find(topic: string): Level | undefined {
    let level: Level | undefined = this.#root;
    for (const name of topic.split('/')) level = level?.children?.get(name);
    return level;
  }

  #delete(topic: string): void {
    const names = topic.split('/');
    const path: Level[] = [this.#root];
    for (const name of names) {
      const child = path.at(-1)?.children?.get(name);
      if (child === undefined) return;
      path.push(child);
    }
    const last = path.at(-1) as Level;
    if (last.entry === null) return;
    last.entry = null;
    this.#count--;
    this.#store.retained.delete([topic]);
    for (let i = path.length - 1; i > 0; i--) {
      const level = path[i] as Level;
      if (level.entry !== null || (level.children?.size ?? 0) > 0) return;
      path[i - 1]?.children?.delete(names[i - 1] as string);
    }
  }

  #entries(filter: string): Entry[] {
    const found: Entry[] = [];
    collect(this.#root, filter.split('/'), 0, found);
    return found;
  }
}

function collect(level: Level, names: readonly string[], at: number, found: Entry[]): void {
  const name = names[at];
  if (name === undefined) {
    if (level.entry !== null) found.push(level.entry);
    return;
  }
  if (name === '#') {
    collectAll(level, at === 0, found);
    return;
  }
  if (name !== '+') {
    const child = level.children?.get(name);
    if (child !== undefined) collect(child, names, at + 1, found);
    return;
  }
  for (const [childName, child] of level.children ?? []) {
    if (at === 0 && childName.startsWith('$')) continue; // [MQTT-4.7.2-1]
    collect(child, names, at + 1, found);
  }
}

function collectAll(level: Level, isRoot: boolean, found: Entry[]): void {
  // "sport/#" also matches "sport" [MQTT-4.7.1-2].
  if (level.entry !== null) found.push(level.entry);
  for (const [name, child] of level.children ?? []) {
    if (isRoot && name.startsWith('$')) continue;
    collectAll(child, false, found);
  }
}
