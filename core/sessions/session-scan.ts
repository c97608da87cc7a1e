/**
 * Which rows match: one looked up, some walked along the sorted index, or all columns scanned piece
 * by piece. Says how it was done, for those who ask to have it explained.
 */
import type { Pace } from '../fleet/pace.ts';
import type { Condition } from '../query/bind.ts';
import { chunkRows } from './columns/columns.ts';
import { RowList } from './row-list.ts';
import type { Scratch } from './scratch.ts';
import type { SessionIndex } from './session-index.ts';
import { type Matcher, matcherOf } from './session-matcher.ts';

/** Past so many a walk costs more than a scan of the columns. */
const walkedMax = 20_000;

export interface ScanFound {
  /** Null when the marks say it. */
  readonly rows: Uint32Array | null;
  /** By piece of the columns: 1 for a row that matches. Null when the rows say it. */
  readonly marks: readonly Uint8Array[] | null;
  readonly matched: number;
  readonly examined: number;
  readonly plan: 'all' | 'client-id' | 'client-id-range' | 'columns';
  /** For rows that have changed since. */
  readonly matcher: Matcher;
}

export interface ScanParts {
  readonly pace: Pace;
  readonly scratch: Scratch;
  /** The moment that ages count to. */
  readonly now: number;
}

export class SessionScan {
  readonly #index: SessionIndex;

  constructor(index: SessionIndex) {
    this.#index = index;
  }

  async run(condition: Condition, { pace, now, scratch }: ScanParts): Promise<ScanFound> {
    const { table, size } = this.#index;
    const matcher = matcherOf(condition, table, now);
    if (condition.kind === 'all' && condition.of.length === 0) {
      const { chunks } = table.live;
      return { rows: null, marks: chunks, matched: size, examined: 0, plan: 'all', matcher };
    }
    const client = clientOf(condition);
    if (client?.exact != null) return this.#lookUp(client.exact, matcher);
    if (client !== null && client.prefix !== '') {
      const walked = this.#walk(client.prefix, matcher, scratch);
      if (walked !== null) return walked;
    }
    return this.#columns(matcher, pace, scratch);
  }

  #lookUp(clientId: string, matcher: Matcher): ScanFound {
    const row = this.#index.rowOf(clientId);
    const rows = Uint32Array.from(row >= 0 && matcher.test(row) ? [row] : []);
    const examined = row < 0 ? 0 : 1;
    return { rows, marks: null, matched: rows.length, examined, plan: 'client-id', matcher };
  }

  /** Null when there are too many. */
  #walk(prefix: string, matcher: Matcher, scratch: Scratch): ScanFound | null {
    const { sorted, table } = this.#index;
    const found = new RowList(scratch);
    let examined = 0;
    let from = { key: prefix, isPast: false };
    for (;;) {
      const step = sorted.slice(from);
      const last = step[step.length - 1];
      for (const row of step) {
        if (!table.clientId(row).startsWith(prefix)) break;
        examined++;
        if (matcher.test(row)) found.add(row);
      }
      if (last === undefined || !table.clientId(last).startsWith(prefix)) {
        const { rows } = found;
        const matched = rows.length;
        return { rows, marks: null, matched, examined, plan: 'client-id-range', matcher };
      }
      if (examined > walkedMax) return null;
      from = { key: table.clientId(last), isPast: true };
    }
  }

  async #columns(matcher: Matcher, pace: Pace, scratch: Scratch): Promise<ScanFound> {
    const { table } = this.#index;
    const marks: Uint8Array[] = [];
    let matched = 0;
    let examined = 0;
    for (let chunk = 0; chunk < table.chunkCount; chunk++) {
      const mask = scratch.marks(chunkRows);
      mask.set(table.live.chunks[chunk] as Uint8Array);
      examined += countOf(mask);
      matcher.narrow(chunk, mask);
      matched += countOf(mask);
      marks.push(mask);
      if (pace.isDue) await pace.rest();
    }
    return { rows: null, marks, matched, examined, plan: 'columns', matcher };
  }
}

/** The marked rows, as numbers. */
export async function rowsOf(
  { rows, marks, matched }: ScanFound,
  { pace, scratch }: Pick<ScanParts, 'pace' | 'scratch'>,
): Promise<Uint32Array> {
  if (rows !== null) return rows;
  // Rows may come while the pace rests; they are not of this query.
  const all = scratch.rows(matched);
  let count = 0;
  for (const [chunk, mask] of (marks ?? []).entries()) {
    const base = chunk * chunkRows;
    for (let i = 0; i < mask.length; i++)
      if (mask[i] === 1 && count < matched) all[count++] = base + i;
    if (pace.isDue) await pace.rest();
  }
  return all.subarray(0, count);
}

function countOf(mask: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < mask.length; i++) count += mask[i] as number;
  return count;
}

export interface ClientBounds {
  readonly exact: string | null;
  readonly prefix: string;
}

/** What every match's client identifier is known by; null when nothing is. */
export function clientOf(condition: Condition): ClientBounds | null {
  if (condition.kind === 'text') {
    return condition.field.name === 'client_id' ? condition.test : null;
  }
  if (condition.kind !== 'all') return null;
  let prefixed: ClientBounds | null = null;
  for (const one of condition.of) {
    const known = clientOf(one);
    if (known?.exact != null) return known;
    if (known !== null && known.prefix !== '') prefixed = known;
  }
  return prefixed;
}
