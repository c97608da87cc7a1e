/** What a query may name: the fields of one kind of record, by name, with what is known of each. */

export type FieldKind =
  /** Text; `=` takes wildcards, `:` looks inside. */
  | 'text'
  /** Text out of few known words. */
  | 'word'
  | 'number'
  /** True or false. */
  | 'flag'
  /** Milliseconds since the epoch; 0 for never. */
  | 'time'
  /** A span, in the unit that its name ends with. */
  | 'span'
  /** How long ago a time was, in milliseconds. */
  | 'age'
  /** Several texts: a comparison holds when it holds for one of them. */
  | 'list';

export interface Field {
  /** Made of other fields: to be asked for, and in no answer. */
  readonly isComputed?: boolean;
  readonly name: string;
  readonly kind: FieldKind;
  /** Other names for it. */
  readonly aliases?: readonly string[];
  /** Of a word: all there are. */
  readonly words?: readonly string[];
  /** Of a span: milliseconds of one of its units. */
  readonly unitMs?: number;
  /** Of an age: the time that it counts from. */
  readonly of?: string;
  /** A word that stands alone is searched for in it. */
  readonly isSearched?: boolean;
  /** 0 and empty mean that nothing is known. */
  readonly isOptional?: boolean;
  readonly about: string;
}

export class FieldCatalog {
  readonly fields: readonly Field[];
  readonly #byName = new Map<string, Field>();

  constructor(fields: readonly Field[]) {
    this.fields = fields;
    for (const field of fields) {
      this.#byName.set(field.name, field);
      for (const alias of field.aliases ?? []) this.#byName.set(alias, field);
    }
  }

  get(name: string): Field | undefined {
    return this.#byName.get(name);
  }

  get names(): string[] {
    return this.fields.map(({ name }) => name);
  }

  /** Other names, too: for what somebody may have meant. */
  get allNames(): string[] {
    return [...this.#byName.keys()];
  }
}

export function isNumeric({ kind }: Field): boolean {
  return kind !== 'text' && kind !== 'word' && kind !== 'list';
}
