/** Which fields of a session are wanted. */

import type { Session } from '../../proto/gen/trunkline/v1/session.ts';
import { nameHint, queryFault } from '../query/query-fault.ts';
import { sessionCatalog } from '../sessions/session-fields.ts';
import { nameOnly } from './session-watch.ts';

/** Names as in the JSON; null for all. */
export type FieldMask = ReadonlySet<string> | null;

/** Those of the answer that a filter cannot name as such. */
const wholeFields = ['dropped', 'subscriptions'];

/** Throws `query-invalid`. The client identifier is always among them. */
export function parseFields(fields: readonly string[]): FieldMask {
  if (fields.length === 0) return null;
  const told = sessionCatalog.fields.filter(
    ({ name, kind, isComputed }) => kind !== 'age' && isComputed !== true && !name.includes('.'),
  );
  const known = [...new Set([...told.map(({ name }) => name), ...wholeFields])];
  const mask = new Set(['client_id']);
  let at = 0;
  for (const given of fields) {
    const name = sessionCatalog.get(given)?.name ?? given;
    if (!known.includes(name)) {
      const query = { name: 'fields', text: fields.join(',') };
      throw queryFault(query, at, `unknown field '${given}'${nameHint(given, known, 'fields')}`);
    }
    mask.add(name);
    at += given.length + 1;
  }
  return mask;
}

/** The session with nothing but the wanted fields. */
export function masked(session: Session, mask: FieldMask): Session {
  if (mask === null) return session;
  const left = nameOnly(session.clientId);
  for (const name of mask) {
    const key = name === 'dropped' ? 'drops' : camel(name);
    Object.assign(left, { [key]: session[key as keyof Session] });
  }
  return left;
}

function camel(name: string): string {
  return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
