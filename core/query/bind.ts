/**
 * Joins a filter's tree to the fields of a record: names are looked up, values read by the kind of
 * their field, and what is left are ranges of numbers and tests of texts. `now` is one moment for
 * the whole query.
 */
import type { Expression, Value } from './expression.ts';
import { type Field, type FieldCatalog, isNumeric } from './field.ts';
import { momentMs, numberOf, spanMs } from './literals.ts';
import { nameHint, type QueryText, queryFault } from './query-fault.ts';
import { type TextTest, textTest } from './text-test.ts';

export type Condition =
  | { readonly kind: 'all'; readonly of: readonly Condition[] }
  | { readonly kind: 'any'; readonly of: readonly Condition[] }
  | { readonly kind: 'not'; readonly of: Condition }
  /** `low <= value <= high`; of a time, an age or an optional number, 0 is in no range but [0, 0]. */
  | { readonly kind: 'range'; readonly field: Field; readonly low: number; readonly high: number }
  | { readonly kind: 'text'; readonly field: Field; readonly test: TextTest };

type Comparison = Extract<Expression, { kind: 'compare' }>;

/** Throws `query-invalid`. */
export function bindFilter(
  expression: Expression,
  catalog: FieldCatalog,
  { text, name = 'filter', now }: { text: string; name?: string; now: number },
): Condition {
  return new Binder(catalog, { name, text }, now).condition(expression);
}

class Binder {
  readonly #catalog: FieldCatalog;
  readonly #query: QueryText;
  readonly #now: number;

  constructor(catalog: FieldCatalog, query: QueryText, now: number) {
    this.#catalog = catalog;
    this.#query = query;
    this.#now = now;
  }

  condition(expression: Expression): Condition {
    switch (expression.kind) {
      case 'all':
      case 'any':
        return { kind: expression.kind, of: expression.of.map((one) => this.condition(one)) };
      case 'not':
        return { kind: 'not', of: this.condition(expression.of) };
      case 'search':
        return this.#search(expression.value);
      case 'compare':
        return this.#comparison(expression);
    }
  }

  #search(value: Value): Condition {
    const fields = this.#catalog.fields.filter((field) => field.isSearched === true);
    const test = textTest(':', value.parts);
    return { kind: 'any', of: fields.map((field) => ({ kind: 'text', field, test })) };
  }

  #comparison(comparison: Comparison): Condition {
    const field = this.#catalog.get(comparison.field);
    if (field === undefined) {
      const { allNames, names } = this.#catalog;
      const hint = nameHint(comparison.field, allNames, 'fields');
      const listed = hint.startsWith('; did') ? hint : `; fields are ${names.join(', ')}`;
      throw this.#fault(`unknown field '${comparison.field}'`, comparison.at, listed);
    }
    if (comparison.comparator === '!=') {
      return { kind: 'not', of: this.#positive(field, { ...comparison, comparator: '=' }) };
    }
    return this.#positive(field, comparison);
  }

  #positive(field: Field, comparison: Comparison): Condition {
    if (isPresence(comparison)) return presenceOf(field);
    if (isNumeric(field)) return this.#range(field, comparison);
    const { comparator, value } = comparison;
    if (field.kind === 'word') this.#checkWord(field, value);
    // A list has no order of its own, and of one word the order means nothing: texts decide.
    return { kind: 'text', field, test: textTest(comparator, value.parts) };
  }

  #checkWord({ name, words = [] }: Field, { parts, at }: Value): void {
    const [word = ''] = parts;
    if (parts.length > 1 || words.includes(word) || words.length === 0 || word === '') return;
    const known = words.length === 2 ? words.join(' and ') : words.join(', ');
    throw this.#fault(`unknown ${name} '${word}'`, at, `; ${plural(name)} are ${known}`);
  }

  #range(field: Field, { comparator, value }: Comparison): Condition {
    if (value.parts.length > 1) {
      throw this.#fault(`'${field.name}' takes no wildcard`, value.at, `; ${formOf(field)}`);
    }
    const text = value.parts[0] as string;
    const bounds = text.split('..');
    if (bounds.length === 2 && field.kind !== 'flag') {
      if (comparator !== '=' && comparator !== ':') {
        throw this.#fault('a range follows = alone', value.at);
      }
      const [low, high] = bounds.map((bound) => this.#number(field, bound, value));
      return rangeOf(field, low as number, high as number);
    }
    const number = this.#number(field, text, value);
    switch (comparator) {
      case '<':
        return rangeOf(field, Number.NEGATIVE_INFINITY, nextBelow(number));
      case '<=':
        return rangeOf(field, Number.NEGATIVE_INFINITY, number);
      case '>':
        return rangeOf(field, -nextBelow(-number), Number.POSITIVE_INFINITY);
      case '>=':
        return rangeOf(field, number, Number.POSITIVE_INFINITY);
      default:
        return rangeOf(field, number, number);
    }
  }

  #number(field: Field, text: string, { at }: Value): number {
    const number = this.#read(field, text);
    if (number !== null) return number;
    throw this.#fault(`'${text}' is no value for '${field.name}'`, at, `; ${formOf(field)}`);
  }

  #read({ kind, unitMs = 1 }: Field, text: string): number | null {
    switch (kind) {
      case 'flag':
        return text === 'true' ? 1 : text === 'false' ? 0 : null;
      case 'time':
        return momentMs(text, this.#now);
      case 'span':
      case 'age': {
        const span = spanMs(text);
        return span === null ? numberOf(text) : span / unitMs;
      }
      default:
        return numberOf(text);
    }
  }

  #fault(detail: string, at: number, hint = '') {
    return queryFault(this.#query, at, detail + hint);
  }
}

/** `field:*`, and `= *` as well. */
function isPresence({ comparator, value }: Comparison): boolean {
  const isStar = value.parts.length === 2 && value.parts.every((part) => part === '');
  return isStar && (comparator === ':' || comparator === '=');
}

function presenceOf(field: Field): Condition {
  if (!isNumeric(field)) {
    return { kind: 'not', of: { kind: 'text', field, test: textTest('=', ['']) } };
  }
  const isAlways = field.kind === 'number' || field.kind === 'flag';
  if (isAlways && field.isOptional !== true) return { kind: 'all', of: [] };
  return { kind: 'not', of: { kind: 'range', field, low: 0, high: 0 } };
}

function rangeOf(field: Field, low: number, high: number): Condition {
  return { kind: 'range', field, low, high };
}

function formOf({ kind }: Field): string {
  switch (kind) {
    case 'flag':
      return 'give true or false';
    case 'time':
      return 'give a time such as 2026-01-31T03:12:00Z or now-5m';
    case 'span':
    case 'age':
      return 'give a span such as 90s, 5m or 1h30m';
    default:
      return 'give a number';
  }
}

function plural(name: string): string {
  return name.endsWith('s') ? name : `${name}s`;
}

const bits = new BigInt64Array(1);
const float = new Float64Array(bits.buffer);

/** The largest number below, so that every bound can be one that belongs to its range. */
function nextBelow(value: number): number {
  if (value === 0) return -Number.MIN_VALUE;
  float[0] = value;
  bits[0] = (bits[0] as bigint) + (value > 0 ? -1n : 1n);
  return float[0] as number;
}
