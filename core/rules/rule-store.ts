/**
 * Versions of the rules, by name: the last of each name is in force. In a file of its own, because it
 * changes when an operator says so and the log changes all the time.
 */
import { parseRules, type Rule, ruleJson } from '../../base/rules/rule.ts';
import { openSqlite, type SqlDatabase } from '../../base/sqlite.ts';

/** Versions of one name that are kept. */
export const versionsMax = 20;

const schema = `CREATE TABLE IF NOT EXISTS rule_set (
    version INTEGER PRIMARY KEY, name TEXT NOT NULL, changed_at INTEGER NOT NULL,
    comment TEXT NOT NULL, removed INTEGER NOT NULL, rules TEXT NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS rule_set_by_name ON rule_set (name, version);`;
const selectAll = `SELECT version, name, changed_at AS changedAtMs, comment, removed, rules
  FROM rule_set ORDER BY version`;
const insert = `INSERT INTO rule_set (version, name, changed_at, comment, removed, rules)
  VALUES (?, ?, ?, ?, ?, ?)`;
const deleteOld = 'DELETE FROM rule_set WHERE name = ? AND version < ?';

export interface StoredRules {
  readonly name: string;
  /** Counts up with each change of any name. */
  readonly version: number;
  readonly changedAtMs: number;
  readonly comment: string;
  /** The name has no rules of its own any more. */
  readonly removed: boolean;
  readonly rules: readonly Rule[];
}

interface Row {
  readonly version: number;
  readonly name: string;
  readonly changedAtMs: number;
  readonly comment: string;
  readonly removed: number;
  readonly rules: string;
}

/** Where the versions are kept. */
export interface RuleVersions {
  /** What is in force; null for a name that never had rules. */
  current(name: string): StoredRules | null;
  /** Newest first. */
  versions(name: string): readonly StoredRules[];
  /** Names that have rules of their own. */
  names(): string[];
  /** Kept when it resolves. Throws `rules-conflict` when another change came first. */
  add(change: Omit<StoredRules, 'version'>): Promise<StoredRules>;
  /** Called with the name when another core has changed its rules. */
  onChanged(listener: (name: string) => void): void;
  close(): Promise<void>;
}

export class RuleStore implements RuleVersions {
  readonly #database: SqlDatabase;
  /** Oldest first. */
  readonly #versions = new Map<string, StoredRules[]>();
  #lastVersion = 0;

  private constructor(database: SqlDatabase) {
    this.#database = database;
  }

  /** Throws `data-unwritable`, `store-failing` or `rules-invalid`. */
  static async open(file: string): Promise<RuleStore> {
    const database = await openSqlite(file, { synchronous: 'FULL' });
    try {
      await database.exec(schema);
      const store = new RuleStore(database);
      for (const row of await database.all<Row>(selectAll)) {
        const rules = parseRules({ rules: JSON.parse(row.rules) });
        store.#note({ ...row, removed: row.removed === 1, rules });
      }
      return store;
    } catch (error) {
      await database.close();
      throw error;
    }
  }

  /** What is in force; null for a name that never had rules. */
  current(name: string): StoredRules | null {
    return this.#versions.get(name)?.at(-1) ?? null;
  }

  /** Newest first. */
  versions(name: string): readonly StoredRules[] {
    return this.#versions.get(name)?.toReversed() ?? [];
  }

  /** Names that have rules of their own. */
  names(): string[] {
    const names = [...this.#versions].filter(([, versions]) => versions.at(-1)?.removed === false);
    return names.map(([name]) => name).toSorted();
  }

  /** Nobody else has the file. */
  onChanged(): void {}

  /** On disk when it resolves. One after the other. */
  async add(change: Omit<StoredRules, 'version'>): Promise<StoredRules> {
    const { name, changedAtMs, comment, removed, rules } = change;
    const stored = { ...change, version: this.#lastVersion + 1 };
    const json = JSON.stringify(rules.map(ruleJson));
    const row = [stored.version, name, changedAtMs, comment, removed ? 1 : 0, json];
    await this.#database.run(insert, row);
    this.#note(stored);
    const oldest = this.#versions.get(name)?.[0]?.version ?? 0;
    await this.#database.run(deleteOld, [name, oldest]);
    return stored;
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  #note(stored: StoredRules): void {
    const versions = this.#versions.get(stored.name) ?? [];
    versions.push(stored);
    if (versions.length > versionsMax) versions.shift();
    this.#versions.set(stored.name, versions);
    this.#lastVersion = Math.max(this.#lastVersion, stored.version);
  }
}
