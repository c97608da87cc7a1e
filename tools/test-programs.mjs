/**
 * Gets the programs that tests cannot do without and that npm does not have: nats-server, for cores
 * that share a log. Runs before `npm test`. Where it cannot be installed, those tests say how to get it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const name = 'nats-server';
const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/usr/local/bin'];
const run = (command, args) =>
  spawnSync(command, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  }).status === 0;

function install() {
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return false;
  console.error(`Installing ${name} …`);
  const isInstalled = () =>
    run('apt-get', ['install', '-q', '-y', '--no-install-recommends', name]);
  // Lists that are there may do; fetching them takes longer than the rest.
  return isInstalled() || (run('apt-get', ['update', '-q']) && isInstalled());
}

if (!folders.some((folder) => existsSync(join(folder, name))) && !install()) {
  console.error(`${name} is missing, and tests that need it will fail: apt-get install ${name}.`);
}
