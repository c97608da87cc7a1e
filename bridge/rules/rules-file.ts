/** The set of rules that an edge was given last, on its disk: in force before any core answers. */
import { open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, systemCode, TrunklineError } from '../../base/errors.ts';
import { parseRules, type Rule, ruleJson } from '../../base/rules/rule.ts';

export interface KeptRules {
  /** Counts up with each change at the core. */
  readonly version: number;
  readonly rules: readonly Rule[];
}

/** Null when none were ever given. Throws `rules-invalid` when the file cannot be read: without it,
 * what was denied would go. */
export async function readRules(file: string): Promise<KeptRules | null> {
  try {
    const { version, rules } = JSON.parse(await readFile(file, 'utf8'));
    if (!Number.isSafeInteger(version)) throw new Error(`version is ${version}`);
    return { version, rules: parseRules({ rules }) };
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return null;
    throw new TrunklineError(
      'rules-invalid',
      `The rules in ${file} cannot be read: ${messageOf(error)}. Mend the file, or remove it to start without rules until a core sends them.`,
      { cause: error },
    );
  }
}

/** All or nothing, and on disk when it resolves. */
export async function writeRules(file: string, { version, rules }: KeptRules): Promise<void> {
  const fresh = `${file}.new`;
  const handle = await open(fresh, 'w');
  try {
    await handle.writeFile(`${JSON.stringify({ version, rules: rules.map(ruleJson) }, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, file);
  const folder = await open(dirname(file), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
