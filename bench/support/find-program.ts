/** Finds programs that systems of another make are measured with. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Distributions put some where an ordinary user's PATH does not look. */
const usualFolders = ['/usr/sbin', '/usr/local/sbin', '/opt/homebrew/sbin'];

/** The program's file, or null when it is not installed. */
export function findProgram(name: string): string | null {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...usualFolders];
  return folders.map((folder) => join(folder, name)).find(isProgram) ?? null;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
