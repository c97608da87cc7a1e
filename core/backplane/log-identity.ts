/** What the file of a log says of itself: the engine that it can be trusted to, and its epoch. */
import { randomUUID } from 'node:crypto';
import { TrunklineError } from '../../base/errors.ts';
import type { SqlDatabase } from '../../base/sqlite.ts';
import * as tables from './log-tables.ts';

/** 3.51.3 is the first without a corruption of databases in WAL mode. */
const sqliteVersionMin = [3, 51, 3];

const epochName = 'log_epoch';

/** Throws `store-failing`. */
export async function checkVersion(database: SqlDatabase): Promise<void> {
  const [row] = await database.all<{ version: string }>(tables.selectVersion);
  const version = (row?.version ?? '0').split('.').map(Number);
  for (const [i, least] of sqliteVersionMin.entries()) {
    const part = version[i] ?? 0;
    if (part > least) return;
    if (part < least) {
      throw new TrunklineError(
        'store-failing',
        `SQLite ${row?.version} is older than ${sqliteVersionMin.join('.')}, which the log needs. Install the package sqlite3 again.`,
      );
    }
  }
}

/** Made when there is none yet. */
export async function epochOf(database: SqlDatabase): Promise<string> {
  const [row] = await database.all<{ value: string }>(tables.selectMeta, [epochName]);
  if (row !== undefined) return row.value;
  const epoch = randomUUID();
  await database.run(tables.insertMeta, [epochName, epoch]);
  return epoch;
}

export async function renewEpoch(database: SqlDatabase): Promise<string> {
  const epoch = randomUUID();
  await database.run(tables.updateMeta, [epoch, epochName]);
  return epoch;
}
