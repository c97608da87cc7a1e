/**
 * The order that a query asks for: fields, each up or down, and the client identifier at last, so
 * that every row has one place. Few distinct texts are compared by their ranks.
 */
import type { Field, FieldCatalog } from '../query/field.ts';
import { nameHint, queryFault } from '../query/query-fault.ts';
import { chunkRows, type NumberColumn } from './columns/columns.ts';
import { compareTexts } from './columns/string-pool.ts';
import type { SessionTable } from './session-table.ts';

/** More are dearer to rank than to compare. */
const rankedMax = 4_096;

const keysMax = 8;

const chunkBits = Math.log2(chunkRows);
const chunkMask = chunkRows - 1;

export interface OrderKey {
  readonly field: Field;
  readonly isDescending: boolean;
}

/** What a row has in the place of a key; a page's end carries it. */
export type KeyValue = number | string;

/** Numbers of rows, written one after the other. */
export type FillNumbers = (rows: Uint32Array, out: Float64Array) => void;

/** One key over the rows of a table; what is descending is turned around, so that less comes first. */
export interface KeyReader {
  /** Numbers in the order of the key; null for many distinct texts. */
  readonly fill: FillNumbers | null;
  /** A value as `fill` would have it. */
  readonly numberOf: (value: KeyValue) => number;
  readonly compare: (a: number, b: number) => number;
  /** As of `compare`, with a value in the place of the second row. */
  readonly compareTo: (row: number, value: KeyValue) => number;
  readonly value: (row: number) => KeyValue;
  /** Which rows have exactly this. */
  readonly equals: (value: KeyValue) => (row: number) => boolean;
}

/** "field", "field desc", joined by commas. Throws `query-invalid`. */
export function parseOrder(text: string, catalog: FieldCatalog): OrderKey[] {
  if (text.trim() === '') return [];
  const query = { name: 'order_by', text };
  const keys: OrderKey[] = [];
  let at = 0;
  for (const part of text.split(',')) {
    const start = at + part.length - part.trimStart().length;
    const [name = '', direction = 'asc', ...more] = part.trim().split(/\s+/);
    const field = catalog.get(name);
    if (field === undefined || field.kind === 'list') {
      const known = catalog.fields.filter(({ kind }) => kind !== 'list').map((one) => one.name);
      throw queryFault(query, start, `unknown field '${name}'${nameHint(name, known, 'fields')}`);
    }
    if ((direction !== 'asc' && direction !== 'desc') || more.length > 0) {
      const directionAt = start + name.length + 1;
      throw queryFault(query, directionAt, `expected asc, desc or a comma after '${name}'`);
    }
    if (keys.length === keysMax) throw queryFault(query, start, `more than ${keysMax} fields`);
    keys.push({ field, isDescending: direction === 'desc' });
    at += part.length + 1;
  }
  return keys;
}

export function keyReader(
  { field, isDescending }: OrderKey,
  table: SessionTable,
  now: number,
): KeyReader {
  const sign = isDescending ? -1 : 1;
  const isText = field.kind === 'text' || field.kind === 'word';
  return isText ? textReader(field, table, sign) : numberReader(field, { table, now, sign });
}

/** The number in a field of a row; an age that is not known is 0. */
export function numberOfRow(
  { name, kind, of }: Field,
  table: SessionTable,
  now: number,
): (row: number) => number {
  const column = table.number(of ?? name);
  if (kind !== 'age') return (row) => column.get(row);
  return (row) => {
    const at = column.get(row);
    return at === 0 ? 0 : now - at;
  };
}

/** The same for many rows at once. */
export function numbersOfRows(
  { name, kind, of }: Field,
  { table, now, sign }: { table: SessionTable; now: number; sign: number },
): FillNumbers {
  const column = table.number(of ?? name);
  if (kind !== 'age') return (rows, out) => fillNumbers(column, { rows, out, sign });
  return (rows, out) => {
    fillNumbers(column, { rows, out, sign: 1 });
    for (let i = 0; i < rows.length; i++) {
      const at = out[i] as number;
      out[i] = at === 0 ? 0 : sign * (now - at);
    }
  };
}

function fillNumbers(
  { chunks }: NumberColumn,
  { rows, out, sign }: { rows: Uint32Array; out: Float64Array; sign: number },
): void {
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    const chunk = chunks[row >>> chunkBits] as Float64Array;
    out[i] = sign * (chunk[row & chunkMask] as number);
  }
}

function numberReader(
  field: Field,
  { table, now, sign }: { table: SessionTable; now: number; sign: number },
): KeyReader {
  const value = numberOfRow(field, table, now);
  return {
    fill: numbersOfRows(field, { table, now, sign }),
    numberOf: (other) => sign * (other as number),
    value,
    equals: (other) => (row) => value(row) === other,
    compare: (a, b) => sign * (value(a) - value(b)),
    compareTo: (row, other) => sign * (value(row) - (other as number)),
  };
}

function textReader(field: Field, table: SessionTable, sign: number): KeyReader {
  const column = table.text(field.name);
  const { pool } = column;
  const value = (row: number) => column.get(row);
  const isRanked = pool.size <= rankedMax && pool.codeEnd <= 4 * rankedMax;
  const ranks = isRanked ? pool.ranks() : null;
  return {
    fill:
      ranks === null
        ? null
        : (rows, out) => {
            for (let i = 0; i < rows.length; i++) {
              const row = rows[i] as number;
              const codes = column.chunks[row >>> chunkBits] as Uint32Array;
              out[i] = sign * (ranks[codes[row & chunkMask] as number] ?? 0);
            }
          },
    numberOf: (other) => sign * rankOf(other as string, column, ranks),
    value,
    equals: (other) => {
      const code = pool.find(other as string);
      return (row) => column.code(row) === code;
    },
    compare: (a, b) => sign * compareTexts(value(a), value(b)),
    compareTo: (row, other) => sign * compareTexts(value(row), other as string),
  };
}

/** Between the ranks of its neighbours when nobody has the text any more. */
function rankOf(
  text: string,
  { pool }: SessionTable['clients'],
  ranks: Float64Array | null,
): number {
  if (ranks === null) return 0;
  const code = pool.find(text);
  if (code >= 0 && ranks[code] !== undefined) return ranks[code];
  let below = -1;
  for (let other = 0; other < ranks.length; other++) {
    if (pool.text(other) < text) below = Math.max(below, ranks[other] as number);
  }
  return below + 0.5;
}
