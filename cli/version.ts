/** The version of this program, read from its package.json, wherever it was built to. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { CommandIo } from './command.ts';

export function softwareVersion(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const version = versionIn(folder);
    if (version !== undefined) return version;
    if (dirname(folder) === folder) return 'unknown';
  }
}

function versionIn(folder: string): string | undefined {
  try {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    return name === 'trunkline' ? version : undefined;
  } catch {
    return undefined; // Not here: the next folder up may have it.
  }
}

export async function versionCommand(_args: string[], io: CommandIo): Promise<number> {
  io.stdout.write(`trunkline ${softwareVersion()} (Node ${process.versions.node})\n`);
  return 0;
}
