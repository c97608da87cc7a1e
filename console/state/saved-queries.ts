/** Queries that the reader keeps: in the browser's own storage, so that they leave it for nowhere. */

export interface SavedQuery {
  readonly filter: string;
  /** Empty: by client identifier. */
  readonly orderBy: string;
}

const key = 'trunkline-queries';

/** The oldest go first. */
const savedMax = 20;

export function savedQueries(): readonly SavedQuery[] {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(key) ?? '[]');
    return Array.isArray(found) ? found.filter(isQuery) : [];
  } catch {
    // Storage that is shut off, or holds something else: nothing is saved.
    return [];
  }
}

/** Answers what is saved now. */
export function save(query: SavedQuery): readonly SavedQuery[] {
  const others = savedQueries().filter((one) => !isSame(one, query));
  return keep([...others, query].slice(-savedMax));
}

export function forget(query: SavedQuery): readonly SavedQuery[] {
  return keep(savedQueries().filter((one) => !isSame(one, query)));
}

export function isSame(one: SavedQuery, other: SavedQuery): boolean {
  return one.filter === other.filter && one.orderBy === other.orderBy;
}

function keep(queries: readonly SavedQuery[]): readonly SavedQuery[] {
  try {
    localStorage.setItem(key, JSON.stringify(queries));
  } catch {
    // Full or shut off: they last as long as the page.
  }
  return queries;
}

function isQuery(value: unknown): value is SavedQuery {
  if (typeof value !== 'object' || value === null) return false;
  const { filter, orderBy } = value as Partial<Record<keyof SavedQuery, unknown>>;
  return typeof filter === 'string' && typeof orderBy === 'string';
}
