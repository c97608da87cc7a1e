/** The layout of the state store's file: made, or brought up from an earlier one, when it is opened. */
import { TrunklineError } from '../../base/errors.ts';
import type { SqlDatabase } from '../../base/sqlite.ts';
import type { BufferedTable } from './buffered-table.ts';

/** Counts up when columns are added. */
const layoutVersion = 3;

/** Creates what is missing: tables of a new file, and columns of one that an earlier layout wrote. */
export async function bringUp(
  database: SqlDatabase,
  { file, tables }: { readonly file: string; readonly tables: readonly BufferedTable[] },
): Promise<void> {
  const [row] = await database.all<{ user_version: number }>('PRAGMA user_version');
  const version = row?.user_version ?? 0;
  if (version > layoutVersion) {
    throw new TrunklineError(
      'data-unwritable',
      `The database ${file} has layout ${version} and this version of Trunkline knows ${layoutVersion}. Use the version that wrote it, or another folder with --data.`,
    );
  }
  const statements = ['BEGIN IMMEDIATE;'];
  for (const one of tables) {
    const present = await database.all<{ name: string }>(`PRAGMA table_info(${one.name})`);
    statements.push(one.upgradeSql(new Set(present.map(({ name }) => name))));
  }
  statements.push(`PRAGMA user_version = ${layoutVersion};`, 'COMMIT;');
  await database.exec(statements.join('\n'));
}
