/**
 * Of many rows the first few in an order, without sorting all: a sample tells about where the last
 * one wanted lies, and one pass leaves what is before it. Where keys are equal, the next key
 * decides, and the client identifier at last, by a walk along the sorted index.
 */
import type { Pace } from '../fleet/pace.ts';
import { chunkRows } from './columns/columns.ts';
import { compareTexts } from './columns/string-pool.ts';
import { RowList } from './row-list.ts';
import type { Scratch } from './scratch.ts';
import type { SessionIndex } from './session-index.ts';
import type { KeyReader, KeyValue } from './session-order.ts';

/** So few are sorted as they are. */
const sortedAtOnceMax = 2_048;
const sampleRows = 1_024;
/** Rows between two looks at the clock. */
const stepRows = 8_192;

export interface OrderedBy {
  readonly keys: readonly KeyReader[];
  /** What decides between rows whose keys are equal. */
  readonly isClientDescending: boolean;
}

/** Where a page ended. */
export interface OrderedPlace {
  readonly values: readonly KeyValue[];
  readonly clientId: string;
}

/** Rows above one value of a key and up to another. */
interface Bounds {
  /** Null for no bound. */
  readonly above: KeyValue | null;
  readonly upTo: KeyValue | null;
}

export interface SelectParts {
  readonly index: SessionIndex;
  readonly pace: Pace;
  readonly scratch: Scratch;
}

export class SessionSelect {
  readonly #index: SessionIndex;
  readonly #order: OrderedBy;
  readonly #pace: Pace;
  readonly #scratch: Scratch;
  readonly #keys: Float64Array;

  constructor({ index, pace, scratch }: SelectParts, order: OrderedBy) {
    this.#index = index;
    this.#order = order;
    this.#pace = pace;
    this.#scratch = scratch;
    this.#keys = scratch.numbers(stepRows);
  }

  /** The first rows in order, behind the place if there is one. */
  async first(rows: Uint32Array, count: number, after: OrderedPlace | null): Promise<number[]> {
    if (after === null) return this.#first(rows, count, { level: 0, above: null });
    const equals = [rows];
    for (const [level, key] of this.#order.keys.entries()) {
      const from = equals[level] as Uint32Array;
      equals.push(await this.#alike(from, key.equals(after.values[level] as KeyValue)));
    }
    const alike = equals[this.#order.keys.length] as Uint32Array;
    const found = await this.#firstClients(alike, count, after.clientId);
    for (let level = this.#order.keys.length - 1; level >= 0 && found.length < count; level--) {
      const above = after.values[level] as KeyValue;
      const rest = equals[level] as Uint32Array;
      found.push(...(await this.#first(rest, count - found.length, { level, above })));
    }
    return found;
  }

  /** The same by client identifier alone, for marked rows. */
  async firstByClient(
    marks: readonly (Uint8Array | undefined)[],
    count: number,
    after: string | null,
  ): Promise<number[]> {
    const found: number[] = [];
    let last = after;
    for (;;) {
      const rows = this.#nextOf(last);
      if (rows.length === 0) return found;
      for (const row of rows) {
        if (marks[Math.floor(row / chunkRows)]?.[row % chunkRows] !== 1) continue;
        found.push(row);
        if (found.length === count) return found;
      }
      last = this.#index.table.clientId(rows[rows.length - 1] as number);
      if (this.#pace.isDue) await this.#pace.rest();
    }
  }

  #nextOf(last: string | null): Uint32Array {
    const { sorted } = this.#index;
    if (this.#order.isClientDescending) return sorted.sliceBefore(last).slice().reverse();
    return sorted.slice({ key: last ?? '', isPast: last !== null });
  }

  async #first(
    rows: Uint32Array,
    count: number,
    { level, above }: { readonly level: number; readonly above: KeyValue | null },
  ): Promise<number[]> {
    const key = this.#order.keys[level];
    if (key === undefined) return this.#firstClients(rows, count, null);
    if (rows.length <= Math.max(sortedAtOnceMax, count * 8)) {
      const left = above === null ? rows : rows.filter((row) => key.compareTo(row, above) > 0);
      return this.#sorted(left, level).slice(0, count);
    }
    const upTo = this.#splitter(rows, count, { key, above });
    const { less, equal } = await this.#parted(rows, key, { above, upTo });
    if (less.length >= count) return this.#first(less, count, { level, above: null });
    const found = this.#sorted(less, level);
    if (equal.length > 0) {
      const next = { level: level + 1, above: null };
      found.push(...(await this.#first(equal, count - found.length, next)));
    }
    if (upTo === null || found.length >= count) return found;
    found.push(...(await this.#first(rows, count - found.length, { level, above: upTo })));
    return found;
  }

  /** A value that a little more than the wanted ones are expected to come before; null for none. */
  #splitter(
    rows: Uint32Array,
    count: number,
    { key, above }: { readonly key: KeyReader; readonly above: KeyValue | null },
  ): KeyValue | null {
    const sample = new Uint32Array(sampleRows);
    const step = rows.length / sampleRows;
    for (let i = 0; i < sampleRows; i++) {
      sample[i] = rows[Math.floor((i + Math.random()) * step)] as number;
    }
    const left = above === null ? sample : sample.filter((row) => key.compareTo(row, above) > 0);
    if (left.length === 0) return null;
    left.sort(key.compare);
    const wanted = Math.ceil((sampleRows * (count * 1.5 + sampleRows)) / rows.length);
    if (wanted >= left.length && above !== null) return null;
    return key.value(left[Math.min(left.length - 1, wanted)] as number);
  }

  async #alike(rows: Uint32Array, isAlike: (row: number) => boolean): Promise<Uint32Array> {
    const alike = new RowList(this.#scratch);
    for (let from = 0; from < rows.length; from += stepRows) {
      const end = Math.min(rows.length, from + stepRows);
      for (let i = from; i < end; i++) if (isAlike(rows[i] as number)) alike.add(rows[i] as number);
      if (this.#pace.isDue) await this.#pace.rest();
    }
    return alike.rows;
  }

  async #parted(
    rows: Uint32Array,
    key: KeyReader,
    bounds: Bounds,
  ): Promise<{ less: Uint32Array; equal: Uint32Array }> {
    const less = new RowList(this.#scratch);
    const equal = new RowList(this.#scratch);
    for (let from = 0; from < rows.length; from += stepRows) {
      const step = rows.subarray(from, Math.min(rows.length, from + stepRows));
      if (key.fill === null) partTexts(step, key, { ...bounds, less, equal });
      else {
        key.fill(step, this.#keys);
        const above = bounds.above === null ? Number.NEGATIVE_INFINITY : key.numberOf(bounds.above);
        const upTo = bounds.upTo === null ? Number.POSITIVE_INFINITY : key.numberOf(bounds.upTo);
        partNumbers(step, this.#keys, { above, upTo, less, equal });
      }
      if (this.#pace.isDue) await this.#pace.rest();
    }
    return { less: less.rows, equal: equal.rows };
  }

  async #firstClients(rows: Uint32Array, count: number, after: string | null): Promise<number[]> {
    if (rows.length <= sortedAtOnceMax) {
      const { table } = this.#index;
      const sign = this.#order.isClientDescending ? -1 : 1;
      const isBehind = (row: number) =>
        after === null || sign * compareTexts(table.clientId(row), after) > 0;
      return this.#sorted(rows.filter(isBehind), this.#order.keys.length).slice(0, count);
    }
    const marks: Uint8Array[] = [];
    for (const row of rows) {
      const chunk = Math.floor(row / chunkRows);
      let mask = marks[chunk];
      if (mask === undefined) {
        mask = this.#scratch.marks(chunkRows).fill(0);
        marks[chunk] = mask;
      }
      mask[row % chunkRows] = 1;
    }
    return this.firstByClient(marks, count, after);
  }

  #sorted(rows: Uint32Array, level: number): number[] {
    const keys = this.#order.keys.slice(level);
    const { table } = this.#index;
    const sign = this.#order.isClientDescending ? -1 : 1;
    return [...rows].sort((a, b) => {
      for (const { compare } of keys) {
        const compared = compare(a, b);
        if (compared !== 0) return compared;
      }
      return sign * compareTexts(table.clientId(a), table.clientId(b));
    });
  }
}

function partNumbers(
  rows: Uint32Array,
  keys: Float64Array,
  to: { above: number; upTo: number; less: RowList; equal: RowList },
): void {
  const { above, upTo, less, equal } = to;
  for (let i = 0; i < rows.length; i++) {
    const key = keys[i] as number;
    if (key > upTo || key <= above) continue;
    if (key < upTo) less.add(rows[i] as number);
    else equal.add(rows[i] as number);
  }
}

function partTexts(
  rows: Uint32Array,
  { compareTo }: KeyReader,
  { above, upTo, less, equal }: Bounds & { less: RowList; equal: RowList },
): void {
  for (const row of rows) {
    const compared = upTo === null ? -1 : compareTo(row, upTo);
    if (compared > 0 || (above !== null && compareTo(row, above) <= 0)) continue;
    if (compared < 0) less.add(row);
    else equal.add(row);
  }
}
