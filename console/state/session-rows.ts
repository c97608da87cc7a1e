/** The rows of one page of sessions and how changes alter them. Sorted by client id, as the core is. */
import type { Session } from '../api/types.ts';

export type SessionChange =
  | { readonly kind: 'added' | 'changed'; readonly session: Session }
  | { readonly kind: 'removed'; readonly session: Session };

/** Rendering more rows than this at once makes the page slow and nobody reads them. */
export const rowsMax = 200;

export interface PageBounds {
  /** Whether rows before the first one are on another page. */
  readonly hasPrevious: boolean;
  /** Whether rows after the last one are on another page. */
  readonly hasNext: boolean;
}

/** New rows appear where they belong, if that is on this page; the page may grow to `rowsMax`. */
export function withChanges(
  rows: readonly Session[],
  changes: readonly SessionChange[],
  bounds: PageBounds,
): Session[] {
  const byId = new Map(rows.map((row) => [row.client_id, row]));
  const first = rows[0]?.client_id;
  const last = rows.at(-1)?.client_id;
  for (const { kind, session } of changes) {
    const id = session.client_id;
    if (kind === 'removed') byId.delete(id);
    else if (byId.has(id) || belongs(id, { first, last, ...bounds })) byId.set(id, session);
  }
  return [...byId.values()].sort(byClientId).slice(0, rowsMax);
}

function belongs(
  id: string,
  page: PageBounds & { first: string | undefined; last: string | undefined },
): boolean {
  if (page.hasPrevious && (page.first === undefined || id < page.first)) return false;
  return !page.hasNext || (page.last !== undefined && id < page.last);
}

/** The core compares code units, not words of a language. */
function byClientId(a: Session, b: Session): number {
  if (a.client_id === b.client_id) return 0;
  return a.client_id < b.client_id ? -1 : 1;
}
