/** The list of what the program is made of, from the lock file. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

test('the list of components is CycloneDX, and has every dependency at its version, those of building it, too', () => {
  const printed = execFileSync('npm', ['run', '--silent', 'sbom'], { encoding: 'utf8' });
  const { bomFormat, components } = JSON.parse(printed);
  assert.equal(bomFormat, 'CycloneDX');
  const purls = new Set(components.map(({ purl }: { purl: string }) => purl));
  const { dependencies, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
    const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
    assert.ok(purls.has(purl), purl);
  }
});
