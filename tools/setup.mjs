/**
 * Makes a fresh clone ready: installs the locked dependencies when they changed, then builds.
 * Runs before `npm start`, `npm test` and `npm run check`; needs nothing but Node and npm.
 * The stamp holds the lock file's hash and the Node version, because sqlite3 is compiled for one ABI.
 */
import { execSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const stampFile = 'node_modules/.trunkline-stamp';
const lock = createHash('sha256').update(readFileSync('package-lock.json')).digest('hex');
const stamp = `${lock} ${process.version} ${process.arch}`;
const run = (command) =>
  execSync(command, {
    stdio: 'inherit',
    env: { JOBS: 'max', ...process.env, npm_config_yes: 'true' },
  });

// 20.17 is the first with stream.duplexPair, which sessions within the process stand on.
const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 17)) {
  console.error(
    `trunkline needs Node 20.17 or newer; this is ${process.version}. Install a newer Node.`,
  );
  process.exit(1);
}

try {
  const installed = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp;
  if (!installed) {
    console.error('Installing dependencies (first time: about two minutes, sqlite3 is compiled) …');
    run('npm ci --no-fund --no-audit');
    writeFileSync(stampFile, stamp);
  }
  run('npm run --silent build');
} catch (error) {
  console.error(`Set-up failed: ${error.message}. The lines above say why.`);
  process.exit(1);
}
