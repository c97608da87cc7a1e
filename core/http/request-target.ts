/**
 * The path and the query of a request, read strictly: a misspelt or repeated parameter must not be
 * ignored in silence. The path is not normalised, because a client identifier may be `..`.
 */
import { TrunklineError } from '../../base/errors.ts';

export interface RequestTarget {
  /** As it stands in the request, without the query. */
  readonly path: string;
  readonly query: string;
}

export function targetOf(url: string): RequestTarget {
  const mark = url.indexOf('?');
  return mark < 0
    ? { path: url, query: '' }
    : { path: url.slice(0, mark), query: url.slice(mark + 1) };
}

/** The values of known parameters; absent ones are empty. Throws `query-invalid`. */
export function parametersOf(query: string, known: readonly string[]): Map<string, string> {
  const values = new Map(known.map((name) => [name, '']));
  const seen = new Set<string>();
  for (const [name, value] of new URLSearchParams(query)) {
    if (!values.has(name)) {
      const names = known.length === 0 ? 'none is taken here' : `there are ${known.join(', ')}`;
      throw invalid(`Unknown parameter ${JSON.stringify(name.slice(0, 64))}; ${names}.`);
    }
    if (seen.has(name)) throw invalid(`Parameter ${name} stands twice; give it once.`);
    seen.add(name);
    values.set(name, value);
  }
  return values;
}

/** Throws `query-invalid`. Empty means 0. */
export function wholeNumber(name: string, text: string): number {
  if (text === '') return 0;
  if (!/^\d{1,9}$/.test(text)) {
    throw invalid(`${name} is ${JSON.stringify(text.slice(0, 64))}; give a whole number.`);
  }
  return Number(text);
}

/** Throws `query-invalid`. */
export function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    throw new TrunklineError(
      'query-invalid',
      `${JSON.stringify(text.slice(0, 64))} is not valid percent-encoding of UTF-8.`,
      { cause: error },
    );
  }
}

function invalid(message: string): TrunklineError {
  return new TrunklineError('query-invalid', message);
}
