/**
 * Pages and groups of sessions. Each query sees one moment of the clock, and of the index what is
 * there while it runs: a session that does not change meanwhile stands on exactly one page.
 */
import type { Clock } from '../../base/clock.ts';
import { bindFilter, type Condition } from '../query/bind.ts';
import { parseFilter } from '../query/parse.ts';
import { Scratch } from '../sessions/scratch.ts';
import { sessionCatalog } from '../sessions/session-fields.ts';
import type { SessionIndex } from '../sessions/session-index.ts';
import { type KeyReader, keyReader, type OrderKey, parseOrder } from '../sessions/session-order.ts';
import { rowsOf, type ScanFound, SessionScan } from '../sessions/session-scan.ts';
import { type OrderedBy, type OrderedPlace, SessionSelect } from '../sessions/session-select.ts';
import { Pace, Turns } from './pace.ts';
import { checkedPageSize } from './page-size.ts';
import { PageTokens } from './page-tokens.ts';
import {
  type GroupPage,
  type GroupWanted,
  groupSessions,
  parseGrouping,
} from './session-groups.ts';

export interface SessionQuery {
  /** 1 to 1,000; 0 means 50. */
  readonly pageSize: number;
  /** Empty for the first page. */
  readonly pageToken: string;
  readonly filter: string;
  readonly orderBy: string;
}

/** How a query was answered. */
export interface QueryExplain {
  readonly plan: string;
  readonly order: string;
  readonly examined: number;
  readonly matched: number;
  readonly micros: number;
  /** Times that others had their turn, and once more. */
  readonly slices: number;
}

export interface RowPage {
  /** Read them before anything else happens. */
  readonly rows: readonly number[];
  readonly nextPageToken: string;
  readonly total: number;
  readonly asOfMs: number;
  readonly explain: QueryExplain;
}

interface PageEnd extends OrderedPlace {
  /** What "now" was on the first page. */
  readonly now: number;
}

const plans = {
  all: 'every session, by its count',
  'client-id': 'one session, by its client identifier',
  'client-id-range': 'sessions whose client identifiers begin alike, by the sorted index',
  columns: 'all sessions, by scanning the columns that the filter names',
};

export class SessionQueries {
  readonly #index: SessionIndex;
  readonly #clock: Clock;
  readonly #scan: SessionScan;
  readonly #turns = new Turns();
  /** Of the query whose turn it is. */
  readonly #scratch = new Scratch();
  readonly #pageTokens = new PageTokens<PageEnd>();
  readonly #groupTokens = new PageTokens<{ now: number; offset: number }>();

  constructor(parts: { index: SessionIndex; clock: Clock }) {
    this.#index = parts.index;
    this.#clock = parts.clock;
    this.#scan = new SessionScan(parts.index);
  }

  /** Throws `query-invalid`. */
  condition(filter: string, now = this.#clock.now()): Condition {
    return bindFilter(parseFilter(filter), sessionCatalog, { text: filter, now });
  }

  /** `use` is given the rows while they are what they were. Throws `query-invalid` or `overloaded`. */
  async list<T>(query: SessionQuery, use: (page: RowPage) => T): Promise<T> {
    const pageSize = checkedPageSize(query.pageSize);
    const name = ['page', query.filter, query.orderBy];
    const after = query.pageToken === '' ? null : this.#pageTokens.read(name, query.pageToken);
    const now = after?.now ?? this.#clock.now();
    const condition = this.condition(query.filter, now);
    const order = parseOrder(query.orderBy, sessionCatalog);
    return this.#turns.take(async () => {
      const pace = this.#begin();
      const began = this.#clock.elapsed();
      const { sequence } = this.#index;
      const found = await this.#scan.run(condition, { pace, now, scratch: this.#scratch });
      const ordered = this.#orderedBy(order, now);
      const some = await this.#ordered(found, { ...ordered, after, count: pageSize + 1, pace });
      const page = some.slice(0, pageSize);
      const last = page.at(-1);
      const end = last === undefined ? null : { ...this.#endOf(last, ordered), now };
      const hasMore = some.length > pageSize && end !== null;
      return use({
        rows: page.filter((row) => this.#isStill(row, found, sequence)),
        nextPageToken: hasMore ? this.#pageTokens.issue(name, end) : '',
        total: found.matched,
        asOfMs: this.#clock.now(),
        explain: {
          ...this.#explained(found, began, pace),
          order: orderText(order),
        },
      });
    });
  }

  /** Throws `query-invalid` or `overloaded`. */
  async group(wanted: GroupWanted): Promise<GroupPage> {
    const pageSize = checkedPageSize(wanted.pageSize);
    const name = [
      'group',
      wanted.filter,
      wanted.orderBy,
      ...wanted.groupBy,
      '',
      ...wanted.aggregates,
    ];
    const after = wanted.pageToken === '' ? null : this.#groupTokens.read(name, wanted.pageToken);
    const now = after?.now ?? this.#clock.now();
    const condition = this.condition(wanted.filter, now);
    const grouping = parseGrouping(wanted);
    return this.#turns.take(async () => {
      const pace = this.#begin();
      const began = this.#clock.elapsed();
      const found = await this.#scan.run(condition, { pace, now, scratch: this.#scratch });
      const rows = await rowsOf(found, { pace, scratch: this.#scratch });
      const from = after?.offset ?? 0;
      const offset = from + pageSize;
      const index = this.#index;
      const part = { index, pace, now, from, count: pageSize, scratch: this.#scratch };
      const { groups, total } = await groupSessions(rows, grouping, part);
      return {
        groups,
        nextPageToken: total > offset ? this.#groupTokens.issue(name, { now, offset }) : '',
        totalGroups: total,
        totalSessions: found.matched,
        asOfMs: this.#clock.now(),
        explain: { ...this.#explained(found, began, pace), order: 'groups, all of them' },
      };
    });
  }

  #begin(): Pace {
    this.#scratch.reset();
    return new Pace(this.#clock);
  }

  #orderedBy(order: readonly OrderKey[], now: number): OrderedBy {
    // What stands behind the client identifier decides nothing.
    const at = order.findIndex(({ field }) => field.name === 'client_id');
    const deciding = at < 0 ? order : order.slice(0, at);
    const keys: KeyReader[] = deciding.map((key) => keyReader(key, this.#index.table, now));
    return { keys, isClientDescending: order[at]?.isDescending === true };
  }

  async #ordered(
    found: ScanFound,
    {
      after,
      count,
      pace,
      ...order
    }: OrderedBy & { after: PageEnd | null; count: number; pace: Pace },
  ): Promise<number[]> {
    const select = new SessionSelect({ index: this.#index, pace, scratch: this.#scratch }, order);
    if (order.keys.length === 0 && found.marks !== null && found.matched > count) {
      return select.firstByClient(found.marks, count, after?.clientId ?? null);
    }
    return select.first(await rowsOf(found, { pace, scratch: this.#scratch }), count, after);
  }

  #endOf(row: number, { keys }: OrderedBy): OrderedPlace {
    return {
      values: keys.map(({ value }) => value(row)),
      clientId: this.#index.table.clientId(row),
    };
  }

  /** What changed while the query ran stands where it belongs now: on this page or on another. */
  #isStill(row: number, { matcher }: ScanFound, sequence: number): boolean {
    const { table } = this.#index;
    return table.live.get(row) === 1 && (table.changedAt.get(row) <= sequence || matcher.test(row));
  }

  #explained(found: ScanFound, began: number, pace: Pace): Omit<QueryExplain, 'order'> {
    return {
      plan: plans[found.plan],
      examined: found.examined,
      matched: found.matched,
      micros: Math.round((this.#clock.elapsed() - began) * 1_000),
      slices: pace.slices,
    };
  }
}

function orderText(order: readonly OrderKey[]): string {
  if (order.length === 0 || order[0]?.field.name === 'client_id') return 'the sorted index';
  const names = order.map(({ field, isDescending }) => field.name + (isDescending ? ' desc' : ''));
  return `selection by ${names.join(', ')}`;
}
