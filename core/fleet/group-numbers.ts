/**
 * Numbers groups from 0 on, tells which group each row is in, and brings the values of a group
 * together, so that figures are made by passes over plain arrays.
 */
import { type Field, isNumeric } from '../query/field.ts';
import type { Scratch } from '../sessions/scratch.ts';
import { type FillNumbers, numberOfRow, numbersOfRows } from '../sessions/session-order.ts';
import type { SessionTable } from '../sessions/session-table.ts';
import type { Pace } from './pace.ts';
import { selectNth } from './select-nth.ts';

const stepRows = 8_192;

const keptKeysMax = 10_000;

/** Up to so many codes a plain array finds the group. */
const directMax = 4_000_000;

export class GroupNumbers {
  readonly #fields: readonly Field[];
  readonly #table: SessionTable;
  readonly #scratch: Scratch;
  readonly #codes: FillNumbers[];
  readonly #now: number;
  /** The first row of each group tells its keys. */
  #firstRows: Uint32Array = new Uint32Array(0);
  #count = 0;
  /** As they were when the group began: a row may change meanwhile. Of very many groups each is so
   * small that it would be gone instead. */
  readonly #keys: string[][] = [];
  /** Sessions of each group. */
  counts: Float64Array = new Float64Array(0);
  /** Where each group's values begin; made when first needed. */
  #starts: Uint32Array | null = null;

  constructor(
    fields: readonly Field[],
    {
      table,
      now,
      scratch,
    }: { readonly table: SessionTable; readonly now: number; readonly scratch: Scratch },
  ) {
    this.#scratch = scratch;
    this.#fields = fields;
    this.#table = table;
    this.#now = now;
    this.#codes = fields.map((field) => this.#codesOf(field));
  }

  /** The group of each row. */
  async of(rows: Uint32Array, pace: Pace): Promise<Uint32Array> {
    const groups = this.#scratch.rows(rows.length).subarray(0, rows.length).fill(0);
    this.#firstRows = this.#scratch.rows(rows.length);
    if (this.#fields.length === 0 && rows.length > 0) this.#begin(rows[0] as number);
    const codes = this.#scratch.numbers(stepRows);
    for (const [level, fill] of this.#codes.entries()) {
      const before = level === 0 ? 1 : this.#count;
      const numbers = new Numbering(this.#scratch, { codeEnd: this.#codeEnd(level), before });
      this.#count = 0;
      this.#keys.length = 0;
      for (let from = 0; from < rows.length; from += stepRows) {
        const end = Math.min(rows.length, from + stepRows);
        const step = rows.subarray(from, end);
        fill(step, codes);
        this.#number(step, groups.subarray(from, end), { numbers, codes });
        if (pace.isDue) await pace.rest();
      }
    }
    this.counts = this.#perGroup().fill(0);
    const { counts } = this;
    for (let i = 0; i < groups.length; i++) {
      const group = groups[i] as number;
      counts[group] = (counts[group] as number) + 1;
    }
    return groups;
  }

  get firstRows(): Uint32Array {
    return this.#firstRows.subarray(0, this.#count);
  }

  #perGroup(): Float64Array {
    return this.#scratch.numbers(this.#count).subarray(0, this.#count);
  }

  #startsOf(): Uint32Array {
    const { counts } = this;
    const starts = new Uint32Array(counts.length + 1);
    for (let group = 0; group < counts.length; group++) {
      starts[group + 1] = (starts[group] as number) + (counts[group] as number);
    }
    return starts;
  }

  keys(group: number): readonly string[] {
    return this.#keys[group] ?? this.#keysOf(this.#firstRows[group] as number);
  }

  #keysOf(row: number): string[] {
    return this.#fields.map((field) => {
      if (!isNumeric(field)) return this.#table.text(field.name).get(row);
      const value = numberOfRow(field, this.#table, this.#now)(row);
      return field.kind === 'flag' ? String(value === 1) : String(value);
    });
  }

  /** The values of a field, those of one group after those of another. */
  async gathered(
    rows: Uint32Array,
    groups: Uint32Array,
    { fill, pace }: { readonly fill: FillNumbers; readonly pace: Pace },
  ): Promise<Float64Array> {
    const values = this.#scratch.numbers(rows.length).subarray(0, rows.length);
    const step = this.#scratch.numbers(stepRows);
    this.#starts ??= this.#startsOf();
    const next = this.#starts.slice();
    for (let from = 0; from < rows.length; from += stepRows) {
      const end = Math.min(rows.length, from + stepRows);
      fill(rows.subarray(from, end), step);
      for (let i = from; i < end; i++) {
        const group = groups[i] as number;
        const at = next[group] as number;
        values[at] = step[i - from] as number;
        next[group] = at + 1;
      }
      if (pace.isDue) await pace.rest();
    }
    return values;
  }

  /** Of the gathered values, one for each group; their order within a group may change. */
  percentiles(percent: number, values: Float64Array): Float64Array {
    const figures = this.#perGroup();
    this.#starts ??= this.#startsOf();
    for (let group = 0; group < figures.length; group++) {
      const part = values.subarray(this.#starts[group], this.#starts[group + 1]);
      figures[group] = selectNth(part, Math.max(0, Math.ceil((percent / 100) * part.length) - 1));
    }
    return figures;
  }

  /** Sums and the like, which need no values side by side. */
  async folded(
    rows: Uint32Array,
    groups: Uint32Array,
    { kind, fill, pace }: { readonly kind: Fold; readonly fill: FillNumbers; readonly pace: Pace },
  ): Promise<Float64Array> {
    const figures = this.#perGroup().fill(firstOf[kind]);
    const step = this.#scratch.numbers(stepRows);
    for (let from = 0; from < rows.length; from += stepRows) {
      const end = Math.min(rows.length, from + stepRows);
      fill(rows.subarray(from, end), step);
      fold(kind, { figures, groups: groups.subarray(from, end), values: step });
      if (pace.isDue) await pace.rest();
    }
    if (kind === 'avg') {
      for (let group = 0; group < figures.length; group++) {
        figures[group] = (figures[group] as number) / (this.counts[group] as number);
      }
    }
    return figures;
  }

  #begin(row: number): void {
    if (this.#count < keptKeysMax) this.#keys.push(this.#keysOf(row));
    this.#firstRows[this.#count++] = row;
  }

  /** From the groups so far those that the code divides them into. */
  #number(
    rows: Uint32Array,
    groups: Uint32Array,
    { numbers, codes }: { readonly numbers: Numbering; readonly codes: Float64Array },
  ): void {
    for (let i = 0; i < rows.length; i++) {
      const group = numbers.of(groups[i] as number, codes[i] as number);
      if (group === this.#count) this.#begin(rows[i] as number);
      groups[i] = group;
    }
  }

  #codeEnd(level: number): number {
    const field = this.#fields[level] as Field;
    return isNumeric(field) ? 0 : this.#table.text(field.name).pool.codeEnd;
  }

  #codesOf(field: Field): FillNumbers {
    const table = this.#table;
    if (isNumeric(field)) return numbersOfRows(field, { table, now: this.#now, sign: 1 });
    const column = table.text(field.name);
    return (rows, out) => {
      for (let i = 0; i < rows.length; i++) out[i] = column.code(rows[i] as number);
    };
  }
}

/** New numbers for pairs of a number so far and a code. */
class Numbering {
  /** One more than the number; 0 for none yet. */
  readonly #direct: Uint32Array | null;
  readonly #width: number;
  readonly #byNumber = new Map<number, Map<number, number>>();
  #count = 0;

  /** `codeEnd` 0: not known, or no whole numbers. */
  constructor(scratch: Scratch, of: { readonly codeEnd: number; readonly before: number }) {
    const { codeEnd, before } = of;
    // Codes may be given out while this goes on.
    this.#width = codeEnd + (before === 1 ? 65_536 : 64);
    const isDirect = codeEnd > 0 && this.#width * before <= directMax;
    this.#direct = isDirect ? scratch.rows(this.#width * before).fill(0) : null;
  }

  of(before: number, code: number): number {
    const direct = this.#direct;
    if (direct === null || code >= this.#width) return this.#mapped(before, code);
    const at = before * this.#width + code;
    const number = direct[at] as number;
    if (number > 0) return number - 1;
    direct[at] = ++this.#count;
    return this.#count - 1;
  }

  #mapped(before: number, code: number): number {
    let codes = this.#byNumber.get(before);
    if (codes === undefined) {
      codes = new Map();
      this.#byNumber.set(before, codes);
    }
    let number = codes.get(code);
    if (number === undefined) {
      number = this.#count++;
      codes.set(code, number);
    }
    return number;
  }
}

/** The figure of a group that has no value yet. */
const firstOf = {
  sum: 0,
  avg: 0,
  min: Number.POSITIVE_INFINITY,
  max: Number.NEGATIVE_INFINITY,
} as const;

export type Fold = keyof typeof firstOf;

/** Loops over plain arrays, one for each kind. */
function fold(
  kind: Fold,
  of: {
    readonly figures: Float64Array;
    readonly groups: Uint32Array;
    readonly values: Float64Array;
  },
): void {
  const { figures, groups, values } = of;
  if (kind === 'sum' || kind === 'avg') {
    for (let i = 0; i < groups.length; i++) {
      const group = groups[i] as number;
      figures[group] = (figures[group] as number) + (values[i] as number);
    }
    return;
  }
  const sign = kind === 'min' ? 1 : -1;
  for (let i = 0; i < groups.length; i++) {
    const group = groups[i] as number;
    const value = values[i] as number;
    if (sign * value < sign * (figures[group] as number)) figures[group] = value;
  }
}
