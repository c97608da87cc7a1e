/**
 * A condition over the columns of sessions: asked of one row, or of a piece of all columns at once.
 * A piece is narrowed step by step: each test looks only at rows that the ones before left over, and
 * the cheap ones go first.
 */
import type { Condition } from '../query/bind.ts';
import type { TextTest } from '../query/text-test.ts';
import type { NumberColumn, TextColumn } from './columns/columns.ts';
import { pairsWanted } from './columns/letter-pairs.ts';
import type { StringPool } from './columns/string-pool.ts';
import { filtersOf, type SessionTable } from './session-table.ts';

/** Up to so many distinct texts, testing each once costs next to nothing. */
const fewTexts = 10_000;

export interface Matcher {
  /** Of one row. */
  test(row: number): boolean;
  /** Takes out of the mask the rows of the piece that do not match. */
  narrow(chunk: number, mask: Uint8Array): void;
  /** What one row costs, roughly, in comparisons of numbers. */
  readonly cost: number;
}

/** `now` is the moment that ages count to. For one query: it remembers texts that it has tested. */
export function matcherOf(condition: Condition, table: SessionTable, now: number): Matcher {
  switch (condition.kind) {
    case 'all':
      return allOf(condition.of.map((one) => matcherOf(one, table, now)));
    case 'any':
      return anyOf(condition.of.map((one) => matcherOf(one, table, now)));
    case 'not':
      return notOf(matcherOf(condition.of, table, now));
    case 'range':
      return rangeMatcher(condition, table, now);
    case 'text':
      return condition.field.kind === 'list'
        ? listMatcher(table, condition.test)
        : textMatcher(table.text(condition.field.name), condition.test);
  }
}

function allOf(unsorted: Matcher[]): Matcher {
  const of = unsorted.sort((a, b) => a.cost - b.cost);
  return {
    cost: costOf(of),
    test: (row) => of.every((one) => one.test(row)),
    narrow(chunk, mask) {
      for (const one of of) one.narrow(chunk, mask);
    },
  };
}

function anyOf(unsorted: Matcher[]): Matcher {
  const of = unsorted.sort((a, b) => a.cost - b.cost);
  return {
    cost: costOf(of),
    test: (row) => of.some((one) => one.test(row)),
    narrow(chunk, mask) {
      const left = mask.slice();
      const tried = new Uint8Array(mask.length);
      for (const one of of) {
        tried.set(left);
        one.narrow(chunk, tried);
        // Who has matched need not be asked again.
        for (let i = 0; i < left.length; i++) left[i] = (left[i] as number) ^ (tried[i] as number);
      }
      for (let i = 0; i < left.length; i++) mask[i] = (mask[i] as number) ^ (left[i] as number);
    },
  };
}

function notOf(one: Matcher): Matcher {
  return {
    cost: one.cost,
    test: (row) => !one.test(row),
    narrow(chunk, mask) {
      const matched = mask.slice();
      one.narrow(chunk, matched);
      for (let i = 0; i < mask.length; i++) mask[i] = (mask[i] as number) ^ (matched[i] as number);
    },
  };
}

function rangeMatcher(
  { field, low, high }: Extract<Condition, { kind: 'range' }>,
  table: SessionTable,
  now: number,
): Matcher {
  const isAge = field.kind === 'age' && !(low === 0 && high === 0);
  const column = table.number(field.of ?? field.name);
  const isUnsetOut =
    (field.kind === 'time' || field.kind === 'age' || field.isOptional === true) &&
    !(low === 0 && high === 0);
  return numberMatcher(column, {
    low: isAge ? now - high : low,
    high: isAge ? now - low : high,
    isUnsetOut,
  });
}

function numberMatcher(
  column: NumberColumn,
  { low, high, isUnsetOut }: { low: number; high: number; isUnsetOut: boolean },
): Matcher {
  return {
    cost: 1,
    test(row) {
      const value = column.get(row);
      return value >= low && value <= high && !(isUnsetOut && value === 0);
    },
    narrow(chunk, mask) {
      const values = column.chunks[chunk] as Float64Array;
      for (let i = 0; i < mask.length; i++) {
        const value = values[i] as number;
        if (value >= low && value <= high && !(isUnsetOut && value === 0)) continue;
        mask[i] = 0;
      }
    },
  };
}

function textMatcher(column: TextColumn, test: TextTest): Matcher {
  const { pool } = column;
  const { matches, exact } = test;
  const testRow = (row: number) => matches(column.get(row));
  if (exact !== null) {
    return {
      cost: 1,
      test: testRow,
      narrow(chunk, mask) {
        const code = pool.find(exact);
        const codes = column.chunks[chunk] as Uint32Array;
        for (let i = 0; i < mask.length; i++) if (codes[i] !== code) mask[i] = 0;
      },
    };
  }
  const verdicts = new Verdicts(pool, test);
  return {
    cost: pool.size > fewTexts ? 40 : 2,
    test: testRow,
    narrow(chunk, mask) {
      if (!verdicts.begin()) {
        mask.fill(0);
        return;
      }
      const codes = column.chunks[chunk] as Uint32Array;
      for (let i = 0; i < mask.length; i++) {
        if (mask[i] === 1 && !verdicts.of(codes[i] as number)) mask[i] = 0;
      }
    },
  };
}

/** What a test says of the texts of a pool, each asked once; those that come meanwhile, when they are
 * met. */
class Verdicts {
  readonly #pool: StringPool;
  readonly #test: TextTest;
  readonly #pairs: number;
  /** By code: 0 for not asked yet, 1 for yes, 2 for no. */
  #verdicts = new Uint8Array(0);
  #decide: (text: string) => boolean = () => false;

  constructor(pool: StringPool, test: TextTest) {
    this.#pool = pool;
    this.#test = test;
    this.#pairs = wantedBy(test);
  }

  /** False when nothing can match. */
  begin(): boolean {
    const { parts, matches, matchesSmall } = this.#test;
    if (isPart(this.#test) && !this.#pool.mayHave(parts)) return false;
    this.#decide = this.#pool.hasCapitals ? matches : matchesSmall;
    if (this.#verdicts.length >= this.#pool.codeEnd) return true;
    const more = new Uint8Array(this.#pool.codeEnd + 1_024);
    more.set(this.#verdicts);
    this.#verdicts = more;
    return true;
  }

  of(code: number): boolean {
    const wanted = this.#pairs;
    if (((this.#pool.pairs[code] as number) & wanted) !== wanted) return false;
    const verdict = this.#verdicts[code];
    if (verdict !== 0) return verdict === 1;
    const does = this.#decide(this.#pool.text(code));
    this.#verdicts[code] = does ? 1 : 2;
    return does;
  }
}

/** The text has the parts in it. */
function isPart({ comparator }: TextTest): boolean {
  return comparator === ':' || comparator === '=';
}

function wantedBy(test: TextTest): number {
  return isPart(test) ? pairsWanted(test.parts) : 0;
}

function listMatcher(table: SessionTable, textTest: TextTest): Matcher {
  const { matches } = textTest;
  const wanted = wantedBy(textTest);
  const column = table.subscriptions;
  const counts = table.number('subscription_count');
  const test = (lines: string) =>
    lines === '' ? matches('') : filtersOf(lines).some((one) => matches(one));
  return {
    cost: 100,
    test: (row) => test(column.get(row)),
    narrow(chunk, mask) {
      const lists = column.chunks[chunk] as string[];
      const pairs = column.pairs[chunk] as Int32Array;
      const count = counts.chunks[chunk] as Float64Array;
      for (let i = 0; i < mask.length; i++) {
        if (((pairs[i] as number) & wanted) !== wanted) mask[i] = 0;
        if (mask[i] === 0) continue;
        const lines = lists[i] as string;
        // Most have one, which is then all of it.
        if (!(count[i] === 1 ? matches(lines) : test(lines))) mask[i] = 0;
      }
    },
  };
}

function costOf(of: readonly Matcher[]): number {
  return of.reduce((sum, one) => sum + one.cost, 0);
}
