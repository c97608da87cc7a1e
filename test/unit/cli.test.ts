/** The command line's help, and its errors: one sentence each, exit code 1, no stack. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { nearest } from '../../cli/nearest.ts';
import { softwareVersion } from '../../cli/version.ts';
import { takenPort } from '../support/ports.ts';
import { runCommand, startProcess, temporaryFolder } from '../support/processes.ts';

const commands = ['up', 'edge', 'core', 'demo', 'sessions', 'devices', 'pub', 'sub', 'config'];

/** Logs go to standard error, too; a start that fails has written none of level error or above. */
async function faultOf(args: string[], env: Record<string, string> = {}): Promise<string> {
  const { code, stdout, stderr } = await runCommand(args, {
    env: { TRUNKLINE_LOG_LEVEL: 'silent', ...env },
  });
  assert.equal(code, 1, stderr);
  assert.equal(stdout, '');
  assert.match(stderr, /^trunkline: [^\n]+\n$/);
  return stderr.slice('trunkline: '.length, -1);
}

const free = ['--mqtt-port', '0', '--ws-port', '0', '--edge-http-port', '0'];

test('no command, help and --help print the table of commands, aligned', async () => {
  const texts = await Promise.all([[], ['help'], ['--help']].map((args) => runCommand(args)));
  for (const { code, stdout, stderr } of texts) {
    assert.equal(code, 0);
    assert.equal(stderr, '');
    assert.equal(stdout, texts[0]?.stdout);
  }
  const rows = (texts[0]?.stdout ?? '')
    .split('\n')
    .filter((line) => /^ {2}[a-z]+ {2,}[A-Z]/.test(line));
  assert.equal(new Set(rows.map((row) => row.search(/[A-Z]/))).size, 1);
  for (const name of [...commands, 'version', 'help']) {
    assert.ok(
      rows.some((row) => row.startsWith(`  ${name} `)),
      name,
    );
  }
});

test('every command has its own help', async () => {
  for (const name of commands) {
    const { code, stdout } = await runCommand([name, '--help']);
    assert.equal(code, 0, name);
    assert.match(stdout, new RegExp(`^Usage: trunkline ${name}`), name);
    assert.ok(
      stdout.split('\n').every((line) => line.length <= 110),
      name,
    );
  }
});

test('an unknown command names the nearest one', async () => {
  assert.equal(await faultOf(['eddge']), 'There is no command "eddge"; did you mean `edge`?');
  assert.match(await faultOf(['frobnicate']), /"frobnicate"; `trunkline help` lists all commands/);
});

test('version prints the version of package.json', async () => {
  const { stdout } = await runCommand(['--version']);
  assert.match(stdout, new RegExp(`^trunkline ${softwareVersion().replaceAll('.', '\\.')} `));
  assert.match(softwareVersion(), /^\d+\.\d+\.\d+/);
});

test('an unknown flag, a bad value and a bad file are one sentence', async () => {
  assert.match(await faultOf(['edge', '--mqtt-prot', '1']), /did you mean --mqtt-port\?/);
  assert.match(await faultOf(['core', '--trunk-port', 'x']), /trunk\.port must be a number/);
  const file = join(temporaryFolder(), 'bad.toml');
  writeFileSync(file, '[edge]\nid = "no spaces"\n');
  assert.match(
    await faultOf(['up', '--config', file]),
    /edge\.id is not valid: it must be 1 to 64 letters/,
  );
  const level = await faultOf(['up', '--log-level', 'loud'], { TRUNKLINE_LOG_LEVEL: 'info' });
  assert.match(level, /log\.level is not valid: it must be one of trace, debug, info/);
  assert.match(await faultOf(['up', '--mqtt-port', '99999']), /it must be at most 65535/);
});

test('a port in use names the port and the flag that chooses another', async () => {
  const taken = await takenPort();
  const data = temporaryFolder();
  const port = String(taken.port);
  const edge = await faultOf(['edge', '--data', data, ...free, '--mqtt-port', port]);
  assert.match(edge, new RegExp(`Port ${port} on 127\\.0\\.0\\.1 is in use.*--mqtt-port`));
  const core = ['core', '--data', data, '--gateway-port', '0', '--http-port', '0'];
  assert.match(await faultOf([...core, '--trunk-port', port]), /is in use.*--trunk-port/);
  const up = ['up', '--data', data, ...free, '--trunk-port', '0', '--gateway-port', '0'];
  assert.match(await faultOf([...up, '--http-port', port]), /is in use.*--http-port/);
  await taken.release();
});

test('a data folder that cannot be written, or is taken, is one sentence', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'file'), '');
  const data = join(folder, 'file', 'data');
  assert.match(await faultOf(['edge', '--data', data, ...free]), /Cannot write to the data folder/);

  const edge = await startProcess('edge');
  const second = await faultOf(['edge', '--data', edge.data, ...free]);
  assert.match(second, new RegExp(`in use by another edge \\(process ${edge.pid}\\)`));
  await edge.kill('SIGKILL');
  const third = await startProcess('edge', { data: edge.data });
  assert.deepEqual(await third.stop(), { code: 0, signal: null });
});

test('a door that others can reach does not open without a credential', async () => {
  const data = temporaryFolder();
  const edge = await faultOf(['edge', '--data', data, ...free, '--mqtt-host', '0.0.0.0']);
  assert.match(edge, /0\.0\.0\.0 without authentication.*auth\.users/);
  const ports = ['--trunk-port', '0', '--gateway-port', '0', '--http-port', '0'];
  for (const door of ['trunk', 'gateway', 'http']) {
    const core = await faultOf(['core', '--data', data, ...ports, `--${door}-host`, '0.0.0.0']);
    assert.match(core, new RegExp(`0\\.0\\.0\\.0 without authentication.*${door}\\.token`), door);
  }
});

test('config prints the effective settings as TOML with secrets masked, config check only checks', async () => {
  const secrets = ['--http-token', '--nats-password', '--nats-token'];
  const flags = ['--mqtt-port', '1999', ...secrets.flatMap((flag) => [flag, 'very-secret'])];
  const { code, stdout } = await runCommand(['config', ...flags]);
  assert.equal(code, 0);
  assert.match(stdout, /^\[mqtt\]$/m);
  assert.match(stdout, /^port = 1999$/m);
  assert.doesNotMatch(stdout, /very-secret/);
  assert.equal((await runCommand(['config', 'check'])).stdout, 'The configuration is valid.\n');
  assert.match(await faultOf(['config', 'check', '--mqtt-port', '-1']), /mqtt\.port is not valid/);
  const named = await faultOf([
    'config',
    'check',
    '--backplane',
    'nats://me:very-secret@host:4222',
  ]);
  assert.match(named, /core\.backplane is not valid.*name no user/);
  assert.match(await faultOf(['config', 'chekc']), /has no "chekc"\. Did you mean check\?/);
});

test('nearest finds slips and no other words', () => {
  assert.equal(nearest('sesions', ['sessions', 'sub']), 'sessions');
  assert.equal(nearest('x', ['sessions', 'sub']), undefined);
  assert.equal(nearest('pbu', ['pub', 'sub', 'up']), 'pub');
});
