/** Devices in a SQLite file, at the core and at edges: a row each, written many at once. */
import { deviceFromText, deviceText, type RegisteredDevice } from './registered-device.ts';
import { openSqlite, type SqlDatabase } from './sqlite.ts';

const schema = `CREATE TABLE IF NOT EXISTS device (
  name TEXT PRIMARY KEY, record TEXT NOT NULL
) STRICT, WITHOUT ROWID;`;
const selectAll = 'SELECT record FROM device';
const putAll = `INSERT OR REPLACE INTO device (name, record)
  SELECT value ->> 0, value ->> 1 FROM json_each(?)`;
const deleteAll = 'DELETE FROM device WHERE name IN (SELECT value FROM json_each(?))';
const deleteOthers = 'DELETE FROM device WHERE name NOT IN (SELECT value FROM json_each(?))';

export class DeviceTable {
  readonly #database: SqlDatabase;

  private constructor(database: SqlDatabase) {
    this.#database = database;
  }

  /** Throws `data-unwritable` or `store-failing`. */
  static async open(file: string): Promise<DeviceTable> {
    const database = await openSqlite(file, { synchronous: 'FULL' });
    try {
      await database.exec(schema);
      return new DeviceTable(database);
    } catch (error) {
      await database.close();
      throw error;
    }
  }

  async load(): Promise<RegisteredDevice[]> {
    const rows = await this.#database.all<{ record: string }>(selectAll);
    return rows.map(({ record }) => deviceFromText(record));
  }

  /** All or none, on disk when it resolves. */
  put(devices: readonly RegisteredDevice[]): Promise<void> {
    const rows = devices.map((device) => [device.name, deviceText(device)]);
    return this.#database.run(putAll, [JSON.stringify(rows)]);
  }

  remove(names: readonly string[]): Promise<void> {
    return this.#database.run(deleteAll, [JSON.stringify(names)]);
  }

  keepOnly(names: readonly string[]): Promise<void> {
    return this.#database.run(deleteOthers, [JSON.stringify(names)]);
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}
