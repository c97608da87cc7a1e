/**
 * The filter of session queries: terms joined by AND, each `field = value` or `field != value`,
 * where a trailing `*` in the value matches any ending. A value with spaces stands in double
 * quotes, where `\` takes the next character as it is. Errors point at the character.
 */
import { TrunklineError } from '../../base/errors.ts';
import { type Session, SessionState } from '../../proto/gen/trunkline/v1/session.ts';

/** Longer filters are not written by people and cost every session of the scan. */
const filterCharactersMax = 2_000;
const termsMax = 20;

export interface SessionFilter {
  matches(session: Session): boolean;
  /** Every match's client identifier starts with this; empty when nothing is known. */
  readonly clientIdPrefix: string;
  /** The prefix is the whole identifier: there is one match at most. */
  readonly isOneClient: boolean;
}

interface Term {
  readonly field: string;
  readonly isNegated: boolean;
  readonly value: string;
  readonly isPrefix: boolean;
}

const fields = new Map<string, (session: Session) => string>([
  ['client_id', (session) => session.clientId],
  ['edge_id', (session) => session.edgeId],
  ['gateway_id', (session) => session.gatewayId],
  ['state', (session) => stateName(session.state)],
  ['protocol', (session) => session.protocol],
  ['listener', (session) => session.listener],
  ['username', (session) => session.username],
  ['region', (session) => session.region],
]);

/** Throws `query-invalid`. An empty filter matches every session. */
export function parseSessionFilter(text: string): SessionFilter {
  const terms = new FilterParser(text).terms();
  const tests = terms.map(testOf);
  const [only] = tests;
  const byId = terms.find((term) => term.field === 'client_id' && !term.isNegated);
  return {
    clientIdPrefix: byId?.value ?? '',
    isOneClient: byId?.isPrefix === false,
    // One term is the common case, and a query may ask it a million times.
    matches:
      tests.length === 1 && only !== undefined
        ? only
        : (session) => tests.every((test) => test(session)),
  };
}

/** Whether a walk in order that reached this key has seen every match. */
export function isWalkOver({ clientIdPrefix, isOneClient }: SessionFilter, key: string): boolean {
  return isOneClient ? key >= clientIdPrefix : !key.startsWith(clientIdPrefix);
}

/** "connected", "kept", or empty for a session that has no known state. */
export function stateName(state: SessionState): string {
  switch (state) {
    case SessionState.CONNECTED:
      return 'connected';
    case SessionState.KEPT:
      return 'kept';
    default:
      return '';
  }
}

function testOf(term: Term): (session: Session) => boolean {
  const read = fields.get(term.field) as (session: Session) => string;
  const { value, isNegated } = term;
  return term.isPrefix
    ? (session) => read(session).startsWith(value) !== isNegated
    : (session) => (read(session) === value) !== isNegated;
}

class FilterParser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    if (text.length > filterCharactersMax) {
      throw fault(`it has ${text.length} characters; at most ${filterCharactersMax} are taken`);
    }
  }

  terms(): Term[] {
    const terms: Term[] = [];
    this.#skipSpaces();
    while (this.#at < this.#text.length) {
      if (terms.length === termsMax) throw fault(`more than ${termsMax} terms ${this.#here()}`);
      if (terms.length > 0) this.#and();
      terms.push(this.#term());
      this.#skipSpaces();
    }
    return terms;
  }

  #and(): void {
    const start = this.#at;
    const word = this.#take(/[^\s]*/y);
    if (word !== 'AND') {
      this.#at = start;
      throw fault(`expected AND ${this.#here()}, found ${JSON.stringify(word)}`);
    }
    this.#skipSpaces();
  }

  #term(): Term {
    const start = this.#at;
    const field = this.#take(/[A-Za-z0-9_.-]*/y);
    if (!fields.has(field)) {
      this.#at = start;
      const what = field === '' ? 'expected a field' : `unknown field '${field}'`;
      throw fault(`${what} ${this.#here()}; fields are ${[...fields.keys()].join(', ')}`);
    }
    this.#skipSpaces();
    const operator = this.#take(/!=|=/y);
    if (operator === '') throw fault(`expected = or != after '${field}' ${this.#here()}`);
    this.#skipSpaces();
    const valueAt = this.#at;
    const value = this.#text[this.#at] === '"' ? this.#quoted() : this.#bare(field);
    const term = { field, isNegated: operator === '!=', ...value };
    if (field === 'state') checkState(term, valueAt);
    return term;
  }

  #bare(field: string): { value: string; isPrefix: boolean } {
    const text = this.#take(/[^\s]*/y);
    if (text === '') {
      throw fault(`expected a value for '${field}' ${this.#here()}; "" stands for an empty one`);
    }
    const isPrefix = text.endsWith('*');
    return { value: isPrefix ? text.slice(0, -1) : text, isPrefix };
  }

  #quoted(): { value: string; isPrefix: boolean } {
    const start = this.#at;
    let value = '';
    let isPrefix = false;
    for (this.#at++; this.#at < this.#text.length; this.#at++) {
      const character = this.#text[this.#at] as string;
      if (character === '"') {
        this.#at++;
        return { value: isPrefix ? value.slice(0, -1) : value, isPrefix };
      }
      isPrefix = character === '*';
      if (character === '\\') this.#at++;
      value += this.#text[this.#at] ?? '';
    }
    this.#at = start;
    throw fault(`the value ${this.#here()} has no closing quote`);
  }

  /** What a sticky pattern matches here; it may match nothing. */
  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }

  #skipSpaces(): void {
    this.#take(/\s*/y);
  }

  #here(): string {
    return `at character ${this.#at + 1}`;
  }
}

/** A misspelt state would silently match nothing. */
function checkState(term: Term, at: number): void {
  if (term.isPrefix || term.value === 'connected' || term.value === 'kept') return;
  throw fault(
    `unknown state '${term.value}' at character ${at + 1}; states are connected and kept`,
  );
}

function fault(detail: string): TrunklineError {
  return new TrunklineError('query-invalid', `filter: ${detail}`);
}
