/**
 * Holds the .proto files to the last release: what a released edge or gateway relies on must not
 * change. Before the first release tag, and in a copy without history, there is nothing to hold to.
 */
import { execFileSync } from 'node:child_process';

const tag = lastTag();
if (tag === undefined) {
  console.log('breaking: no release tag to compare with');
} else {
  console.log(`breaking: comparing proto/ with ${tag}`);
  execFileSync('buf', ['breaking', '--against', `.git#tag=${tag}`], { stdio: 'inherit' });
}

function lastTag() {
  try {
    return execFileSync('git', ['describe', '--tags', '--abbrev=0', '--match', 'v*'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}
