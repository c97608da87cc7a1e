/** The project's own checks find what they are for. Faults are planted in text, never in the tree. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settings } from '../../base/config-schema.ts';
import { configurationPage } from '../../tools/configuration-page.ts';
import { faultsOf, lockFaults } from '../../tools/tidy-rules.ts';

const head = '/** What it is for. */\n';

function sentences(path: string, text: string): string[] {
  return faultsOf({ path, text }).map(({ line, sentence }) => `${line} ${sentence}`);
}

test('a clean file has no fault', () => {
  assert.deepEqual(sentences('base/a.ts', `${head}export const a = 1;\n`), []);
});

test('a file over its length is a fault; a test may be longer', () => {
  const lines = head + 'a();\n'.repeat(320);
  assert.match(sentences('base/a.ts', lines)[0] ?? '', /^301 321 lines are more than 300/);
  assert.deepEqual(sentences('test/unit/a.test.ts', lines), []);
  assert.equal(sentences('test/unit/a.test.ts', head + 'a();\n'.repeat(520)).length, 1);
});

test('a file without a head comment is a fault; a shebang may come before it', () => {
  assert.match(sentences('base/a.ts', 'export const a = 1;\n')[0] ?? '', /^1 no head comment/);
  assert.deepEqual(sentences('trunkline.ts', `#!/usr/bin/env node\n${head}`), []);
});

test('unfinished work and switched-off tests are faults with their line', () => {
  const unfinished = `${head}// ${'TO' + 'DO'}: later\n`;
  assert.match(sentences('base/a.ts', unfinished)[0] ?? '', /^2 .* must not stay/);
  assert.equal(sentences('test/unit/a.test.ts', `${head}test${'.on' + 'ly('}'x');\n`).length, 1);
  assert.equal(sentences('test/unit/a.test.ts', `${head}test${'.sk' + 'ip('}'x');\n`).length, 1);
  assert.deepEqual(sentences('core/a.ts', `${head}reader${'.sk' + 'ip('}4);\n`), []);
});

test('a path of one machine is a fault, a container path is not', () => {
  assert.equal(sentences('base/a.ts', `${head}const a = '/${'home'}/me/x';\n`).length, 1);
  assert.deepEqual(sentences('base/a.ts', `${head}const a = '/data/edge';\n`), []);
});

test('a package that one file owns is a fault elsewhere, but not in a test', () => {
  const text = `${head}import sqlite3 from 'sqlite3';\n`;
  assert.deepEqual(sentences('base/sqlite.ts', text), []);
  assert.deepEqual(sentences('test/unit/a.test.ts', text), []);
  assert.equal(sentences('core/log.ts', text)[0], '2 only base/sqlite.ts may import sqlite3');
});

test('a link in a page that leads nowhere is a fault', () => {
  assert.deepEqual(sentences('README.md', '[a](package.json) [b](https://example.org)\n'), []);
  assert.match(
    sentences('README.md', '[a](docs/none.md)\n')[0] ?? '',
    /docs\/none\.md leads nowhere/,
  );
});

test('an optional dependency without an entry in the lock file is a fault', () => {
  const lock = (more: object) =>
    JSON.stringify({
      packages: {
        'node_modules/a': { optionalDependencies: { 'a-linux': '1', 'b-linux': '1' } },
        ...more,
      },
    });
  const both = { 'node_modules/a-linux': {}, 'node_modules/a/node_modules/b-linux': {} };
  assert.deepEqual(lockFaults(lock(both)), []);
  assert.match(lockFaults(lock({ 'node_modules/a-linux': {} }))[0]?.sentence ?? '', /b-linux/);
});

test('the configuration page names every setting, flag and variable', () => {
  const page = configurationPage();
  for (const { path, flag, env } of settings()) {
    assert.ok(page.includes(`| \`${path}\` | \`--${flag}\` | \`${env}\` |`), path);
  }
});
