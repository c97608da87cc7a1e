/**
 * A transaction as one text: node-sqlite3 goes to its thread pool and back twice for each statement
 * with parameters, and a small commit waits longer for these trips than for the disk.
 */
import type { SqlValue } from '../../base/sqlite.ts';

export interface Statement {
  /** A `?` in it is a parameter, wherever it stands. */
  readonly sql: string;
  readonly params: readonly SqlValue[];
}

/** The statements from begin to commit. Throws a RangeError for a number that is not whole. */
export function transactionText(statements: readonly Statement[]): string {
  const texts = statements.map(({ sql, params }) => {
    const parts = sql.split('?');
    return parts.map((part, i) => (i === 0 ? part : literal(params[i - 1]) + part)).join('');
  });
  return ['BEGIN IMMEDIATE', ...texts, 'COMMIT'].join(';\n');
}

/** In hexadecimal nothing can end a text before its time: no quote, no NUL. */
function literal(value: SqlValue | undefined): string {
  if (typeof value === 'string') return `CAST(x'${Buffer.from(value).toString('hex')}' AS TEXT)`;
  if (Buffer.isBuffer(value)) return `x'${value.toString('hex')}'`;
  if (value === null) return 'NULL';
  if (Number.isSafeInteger(value)) return String(value);
  throw new RangeError(`${value} cannot stand in a statement: give a whole number.`);
}
