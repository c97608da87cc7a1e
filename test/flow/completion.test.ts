/** The completion script, in a real bash. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { before, test } from 'node:test';
import { promisify } from 'node:util';
import { runCommand } from '../support/processes.ts';

const run = promisify(execFile);
let script: string;

before(async () => {
  const { stdout, code } = await runCommand(['completion', 'bash']);
  assert.equal(code, 0);
  script = stdout;
});

/** What bash offers for the last of these words. */
async function offered(...words: string[]): Promise<string[]> {
  const line = `${script}
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_trunkline
printf "%s\\n" "\${COMPREPLY[@]}"`;
  const { stdout } = await run('bash', ['-c', line, 'bash', 'trunkline', ...words]);
  return stdout.split('\n').filter((word) => word !== '');
}

test('commands, actions and flags are offered', async () => {
  assert.deepEqual(await offered('se'), ['sessions']);
  assert.deepEqual(await offered('sessions', ''), ['list', 'get', 'watch', 'history', 'why']);
  assert.deepEqual(await offered('sessions', 'w'), ['watch', 'why']);
  assert.deepEqual(await offered('sessions', 'list', '--f'), [
    '--filter',
    '--figures',
    '--fields',
    '--follow',
  ]);
  assert.deepEqual(await offered('sessions', 'why', '--a'), ['--at']);
  assert.deepEqual(await offered('up', '--mqtt-p'), ['--mqtt-port']);
  assert.deepEqual(await offered('rules', 'ro'), ['rollback']);
  assert.deepEqual(await offered('trunk', 'status', '--ch'), ['--check']);
});

test('fields are offered where fields are wanted, also behind a comma', async () => {
  assert.deepEqual(await offered('sessions', 'list', '--order', 'queue_b'), ['queue_bytes']);
  assert.deepEqual(await offered('sessions', 'list', '-g', 'region,remote_i'), [
    'region,remote_ip',
  ]);
  assert.deepEqual(await offered('sessions', 'history', '--filter', 'ki'), ['kind']);
});

test('a shell that is not known is refused with those that are', async () => {
  const { code, stderr } = await runCommand(['completion', 'tcsh']);
  assert.equal(code, 1);
  assert.match(stderr, /The shell is "tcsh"; give bash or zsh/);
});
