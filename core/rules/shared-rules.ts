/** Versions of the rules that all cores of a cluster have in common. */
import { TrunklineError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { parseRules, ruleJson } from '../../base/rules/rule.ts';
import type { Revised, SharedTable } from '../backplane/backplane.ts';
import { type RuleVersions, type StoredRules, versionsMax } from './rule-store.ts';

/** As they stand in the table: one record for each name, oldest version first. */
export interface RuleRecord {
  readonly versions: readonly (Omit<StoredRules, 'rules'> & { readonly rules: unknown })[];
}

interface Known {
  readonly versions: readonly StoredRules[];
  readonly revision: number;
}

export class SharedRules implements RuleVersions {
  readonly #log: Logger;
  readonly #table: SharedTable<RuleRecord>;
  readonly #names = new Map<string, Known>();
  #listener: (name: string) => void = () => {};
  #unfollow: () => void = () => {};

  private constructor(log: Logger, table: SharedTable<RuleRecord>) {
    this.#log = log;
    this.#table = table;
  }

  static async open(log: Logger, table: SharedTable<RuleRecord>): Promise<SharedRules> {
    const rules = new SharedRules(log, table);
    rules.#unfollow = await table.follow({
      record: (name, record) => rules.#heard(name, record),
      lost: () => rules.#lost(),
    });
    return rules;
  }

  current(name: string): StoredRules | null {
    return this.#names.get(name)?.versions.at(-1) ?? null;
  }

  versions(name: string): readonly StoredRules[] {
    return this.#names.get(name)?.versions.toReversed() ?? [];
  }

  names(): string[] {
    const own = [...this.#names].filter(([, { versions }]) => versions.at(-1)?.removed === false);
    return own.map(([name]) => name).toSorted();
  }

  async add(change: Omit<StoredRules, 'version'>): Promise<StoredRules> {
    const { name } = change;
    const known = this.#names.get(name) ?? { versions: [], revision: 0 };
    const stored = { ...change, version: this.#lastVersion() + 1 };
    const versions = [...known.versions, stored].slice(-versionsMax);
    const revision = await this.#table.put(name, recordOf(versions), known.revision);
    if (revision === null) {
      const text = `The rules "${name}" were changed at another core just now: look at them, and try again.`;
      throw new TrunklineError('rules-conflict', text);
    }
    this.#note(name, { versions, revision });
    return stored;
  }

  onChanged(listener: (name: string) => void): void {
    this.#listener = listener;
  }

  async close(): Promise<void> {
    this.#unfollow();
  }

  #heard(name: string, { value, revision }: Revised<RuleRecord>): void {
    const versions = value.versions.map((one) => ({
      ...one,
      rules: parseRules({ rules: one.rules }),
    }));
    if (this.#note(name, { versions, revision })) this.#listener(name);
  }

  /** Every core puts back what it has; of several, who has the latest version. */
  #lost(): void {
    for (const [name, { versions }] of [...this.#names]) {
      this.#names.set(name, { versions, revision: 0 });
      this.#restore(name, versions).catch((error: unknown) => {
        this.#log.error({ err: error, name }, 'rules are not put back: change them once more');
      });
    }
  }

  async #restore(name: string, versions: readonly StoredRules[]): Promise<void> {
    const own = versions.at(-1)?.version ?? 0;
    let revision = 0;
    // Another core that puts them back meanwhile has the same ones, or told us of later ones.
    while ((await this.#table.put(name, recordOf(versions), revision)) === null) {
      const stored = await this.#table.get(name);
      if ((stored?.value.versions.at(-1)?.version ?? 0) >= own) return;
      revision = stored?.revision ?? 0;
    }
  }

  /** False for what was known. */
  #note(name: string, known: Known): boolean {
    if (known.revision <= (this.#names.get(name)?.revision ?? 0)) return false;
    this.#names.set(name, known);
    return true;
  }

  /** Of any name: an edge that comes under another name's rules has to see that they are others. */
  #lastVersion(): number {
    let last = 0;
    for (const { versions } of this.#names.values()) {
      last = Math.max(last, versions.at(-1)?.version ?? 0);
    }
    return last;
  }
}

function recordOf(versions: readonly StoredRules[]): RuleRecord {
  return { versions: versions.map((one) => ({ ...one, rules: one.rules.map(ruleJson) })) };
}
