/**
 * Checks the whole tree: the rules of `tidy-rules.ts`, the lock file, and that the generated pages
 * are current. Prints each fault as `file:line sentence`; run from the project's root.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { generatedPages } from './pages.ts';
import { type Fault, faultsOf, lockFaults } from './tidy-rules.ts';

const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
});
const files = listed.split('\n').filter((path) => path !== '' && existsSync(path));

const faults: Fault[] = [];
for (const path of files) faults.push(...faultsOf({ path, text: readFileSync(path, 'utf8') }));
faults.push(...lockFaults(readFileSync('package-lock.json', 'utf8')));
for (const page of generatedPages()) {
  const isCurrent = existsSync(page.path) && readFileSync(page.path, 'utf8') === page.text;
  if (!isCurrent) {
    faults.push({ file: page.path, line: 1, sentence: 'is not current: run `npm run docs`' });
  }
}

for (const { file, line, sentence } of faults) console.log(`${file}:${line} ${sentence}`);
console.log(`tidy: ${files.length} files, ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
