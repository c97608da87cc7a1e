/**
 * Changes to one table that wait for the next commit. The last change of a key wins, so a flush is
 * one upsert and one delete with many rows, whatever happened in between.
 */
import { storeRowsMax } from '../../base/limits.ts';
import type { SqlDatabase, SqlValue } from '../../base/sqlite.ts';

type Row = readonly SqlValue[];

export interface TableShape {
  readonly name: string;
  /** Column definitions; the first `keyColumns` names form the primary key. */
  readonly columns: readonly string[];
  readonly keyColumns: number;
}

export class BufferedTable {
  readonly #shape: TableShape;
  /** Key text to the row to write, or to the bare key to delete. */
  #changes = new Map<string, { readonly key: Row; readonly row: Row | null }>();
  /** First key columns whose rows all go before the changes are applied. */
  #drops = new Set<string>();

  constructor(shape: TableShape) {
    this.#shape = shape;
  }

  get isDirty(): boolean {
    return this.#changes.size > 0 || this.#drops.size > 0;
  }

  get name(): string {
    return this.#shape.name;
  }

  /** Statements that make the table what it has to be; `present` names the columns that it has. */
  upgradeSql(present: ReadonlySet<string>): string {
    const { name, columns } = this.#shape;
    if (present.size === 0) return this.#createSql;
    return columns
      .filter((column) => !present.has(columnName(column)))
      .map((column) => `ALTER TABLE ${name} ADD COLUMN ${column};`)
      .join('\n');
  }

  get #createSql(): string {
    const { name, columns, keyColumns } = this.#shape;
    const key = columns.slice(0, keyColumns).map(columnName).join(', ');
    return `CREATE TABLE IF NOT EXISTS ${name} (${columns.join(', ')}, PRIMARY KEY (${key})) WITHOUT ROWID;`;
  }

  /** Every row, keys first, in key order. */
  async load<R>(database: SqlDatabase): Promise<R[]> {
    return database.all<R>(`SELECT * FROM ${this.#shape.name}`);
  }

  put(row: Row): void {
    const key = row.slice(0, this.#shape.keyColumns);
    this.#changes.set(keyText(key), { key, row });
  }

  delete(key: Row): void {
    this.#changes.set(keyText(key), { key, row: null });
  }

  /** Deletes every row whose first key column is `first`. */
  drop(first: string): void {
    for (const [text, change] of this.#changes) {
      if (change.key[0] === first) this.#changes.delete(text);
    }
    this.#drops.add(first);
  }

  /** Takes the changes out as statements; `restore` puts them back when the commit fails. */
  take(): { statements: { sql: string; params: SqlValue[] }[]; restore: () => void } {
    const changes = this.#changes;
    const drops = this.#drops;
    this.#changes = new Map();
    this.#drops = new Set();
    const statements = [
      ...this.#deletes(
        [...drops].map((first) => [first]),
        1,
      ),
      ...this.#deletes(
        [...changes.values()].filter((change) => change.row === null).map((change) => change.key),
        this.#shape.keyColumns,
      ),
      ...this.#upserts([...changes.values()].flatMap((change) => (change.row ? [change.row] : []))),
    ];
    const restore = () => {
      // What was changed since then is newer and stands.
      for (const [text, change] of changes) {
        const isDropped = this.#drops.has(String(change.key[0]));
        if (!this.#changes.has(text) && !isDropped) this.#changes.set(text, change);
      }
      for (const first of drops) this.#drops.add(first);
    };
    return { statements, restore };
  }

  #deletes(keys: readonly Row[], width: number): { sql: string; params: SqlValue[] }[] {
    const names = this.#shape.columns.slice(0, width).map(columnName).join(', ');
    const one = `(${new Array(width).fill('?').join(', ')})`;
    return slices(keys).map((slice) => ({
      sql: `DELETE FROM ${this.#shape.name} WHERE (${names}) IN (VALUES ${slice.map(() => one).join(', ')})`,
      params: slice.flat(),
    }));
  }

  #upserts(rows: readonly Row[]): { sql: string; params: SqlValue[] }[] {
    const one = `(${new Array(this.#shape.columns.length).fill('?').join(', ')})`;
    const names = this.#shape.columns.map(columnName).join(', ');
    return slices(rows).map((slice) => ({
      sql: `INSERT OR REPLACE INTO ${this.#shape.name} (${names}) VALUES ${slice.map(() => one).join(', ')}`,
      params: slice.flat(),
    }));
  }
}

/** One column is its own text; several need marks between them that no value can forge. */
function keyText(key: Row): string {
  return key.length === 1 ? String(key[0]) : JSON.stringify(key);
}

function columnName(column: string): string {
  return column.split(' ')[0] as string;
}

function slices(rows: readonly Row[]): Row[][] {
  const result: Row[][] = [];
  for (let at = 0; at < rows.length; at += storeRowsMax) {
    result.push(rows.slice(at, at + storeRowsMax));
  }
  return result;
}
