/** One process of a tier on a data folder, however the one before it ended. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { DataLock } from '../../base/data-lock.ts';
import { temporaryFolder } from '../support/processes.ts';

const moduleUrl = new URL('../../base/data-lock.js', import.meta.url).href;

/** Another process that holds the lock until it is killed. */
async function holder(folder: string) {
  const script = `import(process.argv[1]).then((m) => m.DataLock.take(process.argv[2], 'edge'))
    .then((lock) => { console.log('taken'); setInterval(() => lock, 1000); })`;
  const child = spawn(process.execPath, ['-e', script, moduleUrl, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return {
    pid: child.pid,
    async kill() {
      child.kill('SIGKILL');
      await once(child, 'close');
    },
  };
}

test('a second process is told who holds the folder; SIGKILL of the first frees it', async () => {
  const folder = join(temporaryFolder(), 'not', 'there', 'yet');
  const first = await holder(folder);
  await assert.rejects(DataLock.take(folder, 'edge'), {
    code: 'data-locked',
    message: `Data folder ${folder} is in use by another edge (process ${first.pid}). Stop it, or choose another folder with --data.`,
  });
  await first.kill();
  const lock = await DataLock.take(folder, 'edge');
  await lock.close();
});

test('the tiers do not lock each other out, and a closed lock can be taken again', async () => {
  const folder = temporaryFolder();
  const edge = await DataLock.take(folder, 'edge');
  const core = await DataLock.take(folder, 'core');
  await edge.close();
  const again = await DataLock.take(folder, 'edge');
  await Promise.all([again.close(), core.close()]);
});

test('a data folder that cannot be made is one sentence with its path', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'file'), '');
  await assert.rejects(DataLock.take(join(folder, 'file', 'data'), 'edge'), {
    code: 'data-unwritable',
    message: /Cannot write to the data folder .*file\/data \(ENOTDIR\)/,
  });
  await assert.rejects(DataLock.take(join(folder, 'file'), 'edge'), { code: 'data-unwritable' });
});

test('a lock file that is no file is reported as the folder’s fault', async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'edge.lock'));
  await assert.rejects(DataLock.take(folder, 'edge'), { code: 'data-unwritable' });
});
