/**
 * The one file that names sqlite3. Four methods, so that another library can stand in; every
 * statement is expected to carry a whole batch, because each call costs about 70 µs.
 * One file per concern, one writer connection each.
 */
import sqlite3 from 'sqlite3';
import { messageOf, TrunklineError } from './errors.ts';

export type SqlValue = string | number | Buffer | null;
export type SqlRow = Record<string, SqlValue>;

export interface SqlDatabase {
  /** Statements without parameters, several at once. */
  exec(sql: string): Promise<void>;
  run(sql: string, params: readonly SqlValue[]): Promise<void>;
  all<R = SqlRow>(sql: string, params?: readonly SqlValue[]): Promise<R[]>;
  close(): Promise<void>;
}

export interface SqliteOptions {
  /** FULL: a commit survives a power cut. NORMAL: for projections that can be rebuilt. */
  readonly synchronous: 'FULL' | 'NORMAL';
}

/** Opens or creates the file. Throws `data-unwritable` with the path in the sentence. */
export async function openSqlite(file: string, options: SqliteOptions): Promise<SqlDatabase> {
  const handle = await new Promise<sqlite3.Database>((resolve, reject) => {
    const opened = new sqlite3.Database(file, (error) => {
      if (error === null) resolve(opened);
      else
        reject(
          new TrunklineError(
            'data-unwritable',
            `Cannot open the database ${file}: ${error.message}. Check that the data folder exists and is writable, or choose another with --data.`,
            { cause: error },
          ),
        );
    });
  });
  const database = new SqliteDatabase(handle, file);
  await database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${options.synchronous};
    PRAGMA busy_timeout = 5000; PRAGMA cache_size = -16384; PRAGMA wal_autocheckpoint = 4000;
    PRAGMA journal_size_limit = 67108864; PRAGMA temp_store = MEMORY;`);
  return database;
}

class SqliteDatabase implements SqlDatabase {
  readonly #handle: sqlite3.Database;
  readonly #file: string;
  #closing: Promise<void> | null = null;

  constructor(handle: sqlite3.Database, file: string) {
    this.#handle = handle;
    this.#file = file;
  }

  exec(sql: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#handle.exec(sql, (error) => {
        if (error === null) resolve();
        else reject(this.#failure(error));
      });
    });
  }

  run(sql: string, params: readonly SqlValue[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#handle.run(sql, params, (error: Error | null) => {
        if (error === null) resolve();
        else reject(this.#failure(error));
      });
    });
  }

  all<R>(sql: string, params: readonly SqlValue[] = []): Promise<R[]> {
    return new Promise((resolve, reject) => {
      this.#handle.all(sql, params, (error: Error | null, rows: R[]) => {
        if (error === null) resolve(rows);
        else reject(this.#failure(error));
      });
    });
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve, reject) => {
      this.#handle.close((error) => {
        if (error === null) resolve();
        else reject(this.#failure(error));
      });
    });
    return this.#closing;
  }

  #failure(error: Error): TrunklineError {
    return new TrunklineError('store-failing', `Database ${this.#file}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
