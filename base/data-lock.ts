/**
 * One process of a tier on one data folder. The lock is a write transaction that stays open on a
 * small SQLite file: the system itself releases it when the process dies, however it dies, so that
 * there is no stale lock to recognise (process identifiers come again; in containers at once).
 */
import { access, constants, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, systemCode, TrunklineError } from './errors.ts';
import { openSqlite, type SqlDatabase } from './sqlite.ts';

export class DataLock {
  readonly #database: SqlDatabase;

  private constructor(database: SqlDatabase) {
    this.#database = database;
  }

  /** Creates the folder where needed. Throws `data-unwritable` or `data-locked`. */
  static async take(folder: string, tier: string): Promise<DataLock> {
    await makeWritable(folder);
    const database = await openSqlite(join(folder, `${tier}.lock`), { synchronous: 'NORMAL' });
    try {
      await database.exec('PRAGMA busy_timeout = 0');
      // The number in the file's head tells the next process who holds it.
      await database.exec(`PRAGMA user_version = ${process.pid}`);
      await database.exec('BEGIN IMMEDIATE');
      return new DataLock(database);
    } catch (error) {
      const holder = await holderOf(database);
      await database.close();
      if (!messageOf(error).includes('SQLITE_BUSY')) throw error;
      throw new TrunklineError(
        'data-locked',
        `Data folder ${folder} is in use by another ${tier} (process ${holder}). Stop it, or choose another folder with --data.`,
        { cause: error },
      );
    }
  }

  async close(): Promise<void> {
    await this.#database.close();
  }
}

async function makeWritable(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw new TrunklineError(
      'data-unwritable',
      `Cannot write to the data folder ${folder} (${systemCode(error) ?? messageOf(error)}). Make it a writable folder or choose another with --data.`,
      { cause: error },
    );
  }
}

async function holderOf(database: SqlDatabase): Promise<string> {
  const rows = await database.all<{ user_version: number }>('PRAGMA user_version');
  return String(rows[0]?.user_version ?? 'unknown');
}
