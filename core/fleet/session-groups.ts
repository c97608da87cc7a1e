/**
 * Sessions in groups, with figures of each: count, sum, average, least, most and percentiles. All
 * are exact. Groups are told by the codes of their texts, so that no text is compared.
 */
import { type Field, isNumeric } from '../query/field.ts';
import { nameHint, queryFault } from '../query/query-fault.ts';
import { compareTexts } from '../sessions/columns/string-pool.ts';
import type { Scratch } from '../sessions/scratch.ts';
import { sessionCatalog } from '../sessions/session-fields.ts';
import type { SessionIndex } from '../sessions/session-index.ts';
import { keyReader, numbersOfRows } from '../sessions/session-order.ts';
import { SessionSelect } from '../sessions/session-select.ts';
import { GroupNumbers } from './group-numbers.ts';
import type { Pace } from './pace.ts';
import { selectNth } from './select-nth.ts';
import type { QueryExplain } from './session-queries.ts';

const fieldsMax = 4;
const aggregatesMax = 16;

/** Groups with one figure that are put in the order of their keys; past them it is no use to any. */
const alikeMax = 5_000;

export interface GroupWanted {
  readonly pageSize: number;
  readonly pageToken: string;
  readonly filter: string;
  /** Names of fields. */
  readonly groupBy: readonly string[];
  /** "count", "sum(field)", "avg", "min", "max", "p50(field)" and other percentiles. */
  readonly aggregates: readonly string[];
  /** One of both, with "asc" or "desc"; the largest groups first when it is empty. */
  readonly orderBy: string;
}

export interface Group {
  /** In the order of the fields asked for. */
  readonly keys: readonly string[];
  readonly count: number;
  /** In the order of the aggregates asked for. */
  readonly values: readonly number[];
}

interface GroupingOf {
  readonly index: SessionIndex;
  readonly pace: Pace;
  readonly scratch: Scratch;
  readonly now: number;
  readonly from: number;
  readonly count: number;
}

export interface GroupPage {
  readonly groups: readonly Group[];
  readonly nextPageToken: string;
  readonly totalGroups: number;
  readonly totalSessions: number;
  readonly asOfMs: number;
  readonly explain: QueryExplain;
}

interface Aggregate {
  readonly name: string;
  readonly kind: 'count' | 'sum' | 'avg' | 'min' | 'max' | 'percentile';
  readonly field: Field | null;
  readonly percent: number;
}

export interface Grouping {
  readonly fields: readonly Field[];
  readonly aggregates: readonly Aggregate[];
  readonly order: { readonly column: number; readonly isKey: boolean; readonly sign: number };
}

/** Throws `query-invalid`. */
export function parseGrouping(wanted: GroupWanted): Grouping {
  const fields = wanted.groupBy.map(groupField);
  if (fields.length > fieldsMax) {
    const query = { name: 'group_by', text: wanted.groupBy.join(',') };
    throw queryFault(query, 0, `more than ${fieldsMax} fields`);
  }
  const aggregates = wanted.aggregates.map(aggregateOf);
  if (aggregates.length > aggregatesMax) {
    const query = { name: 'aggregates', text: wanted.aggregates.join(',') };
    throw queryFault(query, 0, `more than ${aggregatesMax}`);
  }
  return { fields, aggregates, order: groupOrder(wanted.orderBy, fields, aggregates) };
}

/** Some of the groups in order, and how many there are in all. */
export async function groupSessions(
  rows: Uint32Array,
  grouping: Grouping,
  { index, pace, now, from, count, scratch }: GroupingOf,
): Promise<{ total: number; groups: Group[] }> {
  const { table } = index;
  const numbers = new GroupNumbers(grouping.fields, { table, now, scratch });
  const groupOf = await numbers.of(rows, pace);
  const columns: Float64Array[] = [];
  const gathered = new Map<Field, Float64Array>();
  for (const aggregate of grouping.aggregates) {
    const { field, kind } = aggregate;
    if (field === null || kind === 'count') {
      columns.push(numbers.counts);
      continue;
    }
    const fill = numbersOfRows(field, { table, now, sign: 1 });
    if (kind !== 'percentile') {
      columns.push(await numbers.folded(rows, groupOf, { kind, fill, pace }));
      continue;
    }
    const values = gathered.get(field) ?? (await numbers.gathered(rows, groupOf, { fill, pace }));
    gathered.set(field, values);
    columns.push(numbers.percentiles(aggregate.percent, values));
    if (pace.isDue) await pace.rest();
  }
  const { column, isKey, sign } = grouping.order;
  let first: number[];
  if (isKey) {
    const key = keyReader(
      { field: grouping.fields[column] as Field, isDescending: sign < 0 },
      table,
      now,
    );
    const select = new SessionSelect(
      { index, pace, scratch },
      { keys: [key], isClientDescending: false },
    );
    first = await firstByKey(numbers, select, from + count);
  } else {
    const values = columns[column] ?? numbers.counts;
    first = firstByFigure(numbers, values, { sign, count: from + count, scratch });
  }
  return {
    total: numbers.counts.length,
    groups: first.slice(from).map((group) => ({
      keys: numbers.keys(group),
      count: numbers.counts[group] as number,
      values: columns.map((values) => values[group] as number),
    })),
  };
}

async function firstByKey(
  numbers: GroupNumbers,
  select: SessionSelect,
  count: number,
): Promise<number[]> {
  const rows = await select.first(numbers.firstRows.slice(), count, null);
  const groups = new Map(rows.map((row) => [row, -1]));
  for (const [group, row] of numbers.firstRows.entries()) {
    if (groups.has(row)) groups.set(row, group);
  }
  return [...groups.values()];
}

/** Of groups alike in their figure, those come first whose keys do; of very many, those met first. */
function firstByFigure(
  numbers: GroupNumbers,
  values: Float64Array,
  of: { readonly sign: number; readonly count: number; readonly scratch: Scratch },
): number[] {
  const { sign, scratch } = of;
  const { length } = values;
  const wanted = Math.min(of.count, length);
  if (wanted === 0) return [];
  const turned = scratch.numbers(length).subarray(0, length);
  for (let group = 0; group < length; group++) turned[group] = sign * (values[group] as number);
  const parting = scratch.numbers(length).subarray(0, length);
  parting.set(turned);
  const last = selectNth(parting, wanted - 1);
  const before: number[] = [];
  const alike: number[] = [];
  for (let group = 0; group < turned.length; group++) {
    const value = turned[group] as number;
    if (value < last) before.push(group);
    else if (value === last && alike.length < alikeMax) alike.push(group);
  }
  // Read once: a sort asks for each of them many times.
  const keys = new Map([...before, ...alike].map((group) => [group, numbers.keys(group)]));
  const byFigure = (a: number, b: number) => (turned[a] as number) - (turned[b] as number);
  return [...keys.keys()]
    .sort((a, b) => byFigure(a, b) || compareKeys(keys.get(a) ?? [], keys.get(b) ?? []))
    .slice(0, wanted);
}

function compareKeys(a: readonly string[], b: readonly string[]): number {
  for (const [index, key] of a.entries()) {
    const compared = compareTexts(key, b[index] as string);
    if (compared !== 0) return compared;
  }
  return 0;
}

function groupField(name: string): Field {
  const field = sessionCatalog.get(name);
  if (field !== undefined && field.kind !== 'list') return field;
  const hint = nameHint(name, sessionCatalog.names, 'fields');
  throw queryFault({ name: 'group_by', text: name }, 0, `unknown field '${name}'${hint}`);
}

function aggregateOf(text: string): Aggregate {
  const query = { name: 'aggregates', text };
  if (text === 'count') return { name: text, kind: 'count', field: null, percent: 0 };
  const form = /^(sum|avg|min|max|p\d{1,2}(?:\.\d{1,2})?)\(\s*([^()\s]+)\s*\)$/.exec(text);
  const [, kind = '', name = ''] = form ?? [];
  if (form === null) {
    const known = 'count, sum(field), avg(field), min(field), max(field) and p99(field)';
    throw queryFault(query, 0, `'${text}' is no aggregate; there are ${known}`);
  }
  const field = sessionCatalog.get(name);
  if (field === undefined || !isNumeric(field)) {
    const numeric = sessionCatalog.fields.filter(isNumeric).map((one) => one.name);
    const detail = field === undefined ? `unknown field '${name}'` : `'${name}' is no number`;
    const hint = nameHint(name, numeric, 'numbers');
    throw queryFault(query, kind.length + 1, detail + hint);
  }
  if (kind.startsWith('p')) {
    return { name: text, kind: 'percentile', field, percent: Number(kind.slice(1)) };
  }
  return { name: text, kind: kind as Aggregate['kind'], field, percent: 0 };
}

function groupOrder(
  text: string,
  fields: readonly Field[],
  aggregates: readonly Aggregate[],
): Grouping['order'] {
  if (text.trim() === '') return { column: -1, isKey: false, sign: -1 };
  const [name = '', direction = 'asc', ...more] = text.trim().split(/\s+/);
  const sign = direction === 'desc' ? -1 : 1;
  const query = { name: 'order_by', text };
  if ((direction !== 'asc' && direction !== 'desc') || more.length > 0) {
    throw queryFault(query, name.length + 1, `expected asc or desc after '${name}'`);
  }
  if (name === 'count') return { column: -1, isKey: false, sign };
  const named = sessionCatalog.get(name);
  const key = named === undefined ? -1 : fields.indexOf(named);
  if (key >= 0) return { column: key, isKey: true, sign };
  const column = aggregates.findIndex((aggregate) => aggregate.name === name);
  if (column >= 0) return { column, isKey: false, sign };
  const known = ['count', ...fields.map((field) => field.name), ...aggregates.map((a) => a.name)];
  throw queryFault(query, 0, `'${name}' is not in the answer; there are ${known.join(', ')}`);
}
