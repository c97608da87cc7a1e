/** The body of a request that changes something: JSON within a bound. */
import type { IncomingMessage } from 'node:http';
import { messageOf, TrunklineError } from '../../base/errors.ts';

/** A thousand rules with long filters. */
const bodyBytesMax = 1024 * 1024;

/**
 * Throws `query-invalid` or `message-too-large`. The type must be named: a page of another site cannot
 * send this one without asking first, which is not answered.
 */
export async function jsonBody(request: IncomingMessage): Promise<Record<string, unknown>> {
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json') {
    const given = JSON.stringify((type ?? '').slice(0, 64));
    throw invalid(`content-type is ${given}; send JSON as application/json.`);
  }
  if (Number(request.headers['content-length'] ?? 0) > bodyBytesMax) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw tooLarge();
    chunks.push(chunk);
  }
  let body: unknown;
  try {
    body = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    throw invalid(`The body is not JSON: ${messageOf(error)}.`);
  }
  if (typeof body === 'object' && body !== null && !Array.isArray(body)) {
    return body as Record<string, unknown>;
  }
  throw invalid('The body must be a JSON object.');
}

type Kind = 'text' | 'number' | 'flag' | 'texts' | 'any';
interface Kinds {
  readonly text: string;
  readonly number: number;
  readonly flag: boolean;
  readonly texts: readonly string[];
  readonly any: unknown;
}

const absent: Kinds = { text: '', number: 0, flag: false, texts: [], any: undefined };

const checks: { readonly [K in Kind]: (value: unknown) => boolean } = {
  text: (value) => typeof value === 'string',
  number: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  flag: (value) => typeof value === 'boolean',
  texts: (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
  any: () => true,
};

const words: { readonly [K in Kind]: string } = {
  text: 'a text',
  number: 'a whole number',
  flag: 'true or false',
  texts: 'a list of texts',
  any: 'a value',
};

/** The fields that are known, with what stands for absent ones. Throws `query-invalid`. */
export function fieldsOf<S extends Readonly<Record<string, Kind>>>(
  body: Readonly<Record<string, unknown>>,
  known: S,
): { readonly [N in keyof S]: Kinds[S[N]] } {
  for (const name of Object.keys(body)) {
    if (Object.hasOwn(known, name)) continue;
    const names = Object.keys(known).join(', ');
    throw invalid(`Unknown field ${JSON.stringify(name.slice(0, 64))}; there are ${names}.`);
  }
  const fields = Object.entries(known).map(([name, kind]) => {
    const value = Object.hasOwn(body, name) ? body[name] : undefined;
    if (value === undefined) return [name, absent[kind]];
    if (checks[kind](value)) return [name, value];
    const given = JSON.stringify(value).slice(0, 64);
    throw invalid(`${name} is ${given}; give ${words[kind]}.`);
  });
  return Object.fromEntries(fields);
}

function tooLarge(): TrunklineError {
  return new TrunklineError('message-too-large', `The body is larger than ${bodyBytesMax} bytes.`);
}

function invalid(message: string): TrunklineError {
  return new TrunklineError('query-invalid', message);
}
