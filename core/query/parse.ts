/**
 * Reads a filter into its tree. Refusals name the character and what could stand there. Bounds keep
 * a filter from being longer, wider or deeper than anybody writes.
 */
import { type Comparator, type Expression, everything, type Value } from './expression.ts';
import { type QueryText, queryFault } from './query-fault.ts';

/** Longer filters are not written by people and cost every row of a scan. */
const charactersMax = 2_000;
const termsMax = 100;
const depthMax = 20;

/** What a comparison is made of, for a list in parentheses behind its comparator. */
interface Comparing {
  readonly field: string;
  readonly comparator: Comparator;
  readonly at: number;
}

/** Throws `query-invalid`. An empty text matches everything. */
export function parseFilter(text: string, name = 'filter'): Expression {
  return new FilterParser({ name, text }).whole();
}

class FilterParser {
  readonly #query: QueryText;
  readonly #text: string;
  #at = 0;
  #terms = 0;
  #depth = 0;

  constructor(query: QueryText) {
    this.#query = query;
    this.#text = query.text;
  }

  whole(): Expression {
    if (this.#text.length > charactersMax) {
      const detail = `it has ${this.#text.length} characters and at most ${charactersMax} are taken, so it is too long`;
      throw this.#fault(detail, charactersMax);
    }
    this.#skipSpaces();
    if (this.#isOver) return everything;
    const expression = this.#expression(null);
    if (!this.#isOver) throw this.#fault('expected the end, AND or OR, but there is a ")"');
    return expression;
  }

  get #isOver(): boolean {
    return this.#at >= this.#text.length;
  }

  get #isGroupOver(): boolean {
    return this.#isOver || this.#text[this.#at] === ')';
  }

  #expression(comparing: Comparing | null): Expression {
    if (++this.#depth > depthMax) throw this.#fault(`more than ${depthMax} levels of parentheses`);
    const all = [this.#sequence(comparing)];
    while (this.#word('AND')) all.push(this.#sequence(comparing));
    this.#depth--;
    return joined('all', all);
  }

  #sequence(comparing: Comparing | null): Expression {
    const all = [this.#factor(comparing)];
    while (!this.#isGroupOver && !this.#isWord('AND')) all.push(this.#factor(comparing));
    return joined('all', all);
  }

  #factor(comparing: Comparing | null): Expression {
    const any = [this.#term(comparing)];
    while (this.#word('OR')) any.push(this.#term(comparing));
    return joined('any', any);
  }

  #term(comparing: Comparing | null): Expression {
    if (this.#word('NOT')) return { kind: 'not', of: this.#simple(comparing) };
    const next = this.#text[this.#at + 1];
    if (this.#text[this.#at] === '-' && next !== undefined && !/\s/.test(next)) {
      this.#at++;
      return { kind: 'not', of: this.#simple(comparing) };
    }
    return this.#simple(comparing);
  }

  #simple(comparing: Comparing | null): Expression {
    if (++this.#terms > termsMax) throw this.#fault(`more than ${termsMax} terms`);
    if (this.#text[this.#at] === '(') return this.#group(comparing);
    if (comparing !== null) return { kind: 'compare', ...comparing, value: this.#value(comparing) };
    if (this.#text[this.#at] === '"') return this.#search(this.#quoted());
    return this.#restriction();
  }

  #group(comparing: Comparing | null): Expression {
    const start = this.#at++;
    this.#skipSpaces();
    const inside = this.#expression(comparing);
    if (this.#text[this.#at] !== ')') throw this.#fault('the parenthesis is not closed', start);
    this.#at++;
    this.#skipSpaces();
    return inside;
  }

  #restriction(): Expression {
    const at = this.#at;
    const name = this.#take(/[^\s()"<>=!:]+/y);
    if (name === '') throw this.#fault('expected a field or a word to search for');
    this.#refuseKeyword(name, at);
    const end = this.#at;
    this.#skipSpaces();
    const comparator = this.#take(/<=|>=|!=|[<>=:]/y);
    if (comparator === '') {
      if (this.#text[this.#at] === '!') throw this.#fault('expected != here, or NOT before a term');
      const value = { parts: name.split('*'), isQuoted: false, at };
      this.#at = end;
      return this.#search(value);
    }
    this.#skipSpaces();
    const comparing = { field: name, comparator: comparator as Comparator, at };
    if (this.#text[this.#at] === '(') return this.#group(comparing);
    return { kind: 'compare', ...comparing, value: this.#value(comparing) };
  }

  #search(value: Value): Expression {
    this.#skipSpaces();
    return { kind: 'search', value };
  }

  #value({ field }: Comparing): Value {
    const at = this.#at;
    if (this.#text[at] === '"') {
      const value = this.#quoted();
      this.#skipSpaces();
      return value;
    }
    const text = this.#take(/[^\s()"]+/y);
    if (text === '')
      throw this.#fault(`expected a value for '${field}'; "" stands for an empty one`);
    this.#skipSpaces();
    return { parts: text.split('*'), isQuoted: false, at };
  }

  #quoted(): Value {
    const at = this.#at;
    const parts: string[] = [];
    let part = '';
    for (this.#at++; this.#at < this.#text.length; this.#at++) {
      const character = this.#text[this.#at] as string;
      if (character === '"') {
        this.#at++;
        return { parts: [...parts, part], isQuoted: true, at };
      }
      if (character === '*') {
        parts.push(part);
        part = '';
        continue;
      }
      if (character === '\\') this.#at++;
      part += this.#text[this.#at] ?? '';
    }
    throw this.#fault('the value has no closing quote', at);
  }

  /** Joins are words in capitals: small ones would silently search for themselves. */
  #refuseKeyword(name: string, at: number): void {
    const upper = name.toUpperCase();
    if (upper !== 'AND' && upper !== 'OR' && upper !== 'NOT') return;
    const hint =
      name === upper
        ? `expected a term, found ${name}`
        : `'${name}' stands alone; write ${upper} to join terms, or "${name}" to search for it`;
    throw this.#fault(hint, at);
  }

  #isWord(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false;
    const next = this.#text[this.#at + word.length];
    return next === undefined || /[\s()]/.test(next);
  }

  #word(word: string): boolean {
    if (!this.#isWord(word)) return false;
    this.#at += word.length;
    this.#skipSpaces();
    if (this.#isGroupOver) throw this.#fault(`expected a term after ${word}`);
    return true;
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }

  #skipSpaces(): void {
    this.#take(/\s*/y);
  }

  #fault(detail: string, at = this.#at) {
    return queryFault(this.#query, at, detail);
  }
}

/** Of one there is nothing to join; what is joined the same way inside needs no level of its own. */
function joined(kind: 'all' | 'any', of: readonly Expression[]): Expression {
  const flat = of.flatMap((one) => (one.kind === kind ? one.of : [one]));
  const [only] = flat;
  return flat.length === 1 && only !== undefined ? only : { kind, of: flat };
}
