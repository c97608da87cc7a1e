/** Where settings come from, which source wins, and what a fault says. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig, requireCredential } from '../../base/config.ts';
import { settings } from '../../base/config-schema.ts';
import { configOf, flagLines, parseSettings } from '../../cli/config-flags.ts';
import { temporaryFolder } from '../support/processes.ts';

const folder = temporaryFolder();

function tomlFile(text: string): string {
  const file = join(folder, `${Math.random().toString(36).slice(2)}.toml`);
  writeFileSync(file, text);
  return file;
}

function faultOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return (error as Error).message;
  }
  return 'no fault';
}

test('each source overrides the one before: default, file, environment, flag', () => {
  const file = tomlFile('[mqtt]\nport = 2001\n[ws]\nport = 2002\n[http]\nport = 2003\n');
  const config = loadConfig({
    file,
    env: { TRUNKLINE_WS_PORT: '3002', TRUNKLINE_HTTP_PORT: '3003' },
    flags: { 'http-port': '4003' },
  });
  assert.equal(config.gateway.port, 7500);
  assert.equal(config.mqtt.port, 2001);
  assert.equal(config.ws.port, 3002);
  assert.equal(config.http.port, 4003);
});

test('a setting from a flag keeps the rest of its section from the file', () => {
  const file = tomlFile('[mqtt]\nhost = "127.0.0.2"\nport = 2001\n');
  const config = loadConfig({ file, env: {}, flags: { 'mqtt-port': '1' } });
  const { host, port } = config.mqtt;
  assert.deepEqual({ host, port }, { host: '127.0.0.2', port: 1 });
});

test('an unknown key of the file is named with its path', () => {
  const file = tomlFile('[limits]\nconections = 5\n');
  const fault = faultOf(() => loadConfig({ file, env: {}, flags: {} }));
  assert.match(fault, /limits\.conections is not a setting/);
});

test('an unknown section of the file is named', () => {
  const file = tomlFile('[mqqt]\nport = 5\n');
  assert.match(
    faultOf(() => loadConfig({ file, env: {}, flags: {} })),
    /mqqt is not a setting/,
  );
});

test('a bad value names its path', () => {
  const file = tomlFile('[mqtt]\nport = 70000\n');
  assert.match(
    faultOf(() => loadConfig({ file, env: {}, flags: {} })),
    /mqtt\.port is not valid/,
  );
});

test('text that is no number names the flag or the variable, the path and the text', () => {
  assert.equal(
    faultOf(() => loadConfig({ env: {}, flags: { 'mqtt-port': 'high' } })),
    '--mqtt-port: mqtt.port must be a number, not "high".',
  );
  assert.equal(
    faultOf(() => loadConfig({ env: { TRUNKLINE_MQTT_PORT: '' }, flags: {} })),
    'TRUNKLINE_MQTT_PORT: mqtt.port must be a number, not "".',
  );
});

test('a misspelt variable is a fault, not ignored', () => {
  const fault = faultOf(() => loadConfig({ env: { TRUNKLINE_MQTT_PROT: '1' }, flags: {} }));
  assert.match(fault, /TRUNKLINE_MQTT_PROT is not a setting/);
});

test('a file that is missing or is no TOML is one sentence with its path', () => {
  const missing = join(folder, 'missing.toml');
  assert.match(
    faultOf(() => loadConfig({ file: missing, env: {}, flags: {} })),
    /missing\.toml cannot be read/,
  );
  const broken = tomlFile('[mqtt\nport');
  const fault = faultOf(() => loadConfig({ file: broken, env: {}, flags: {} }));
  assert.match(fault, /cannot be read/);
  assert.doesNotMatch(fault, /\n/);
});

test('lists and tables can come from a variable', () => {
  const config = loadConfig({
    env: {
      TRUNKLINE_EDGE_CORES: 'a:1, b:2',
      TRUNKLINE_AUTH_USERS: JSON.stringify([{ username: 'u', password_sha256: '0'.repeat(64) }]),
    },
    flags: {},
  });
  assert.deepEqual(config.edge.cores, ['a:1', 'b:2']);
  assert.equal(config.auth.users[0]?.username, 'u');
});

test('a door that others can reach needs a credential, one on loopback does not', () => {
  const door = { name: 'MQTT', hasCredential: false, remedy: 'set auth.users' };
  requireCredential({ ...door, host: '127.0.0.1' });
  requireCredential({ ...door, host: '::1' });
  requireCredential({ ...door, host: '0.0.0.0', hasCredential: true });
  assert.match(
    faultOf(() => requireCredential({ ...door, host: '0.0.0.0' })),
    /MQTT would listen on 0\.0\.0\.0 without authentication; set auth\.users/,
  );
});

test('flags are read with a space, with an equals sign, and as a switch', () => {
  const line = parseSettings([
    '--mqtt-port',
    '1',
    '--ws-port=2',
    '--auth-anonymous',
    '--config',
    'f',
  ]);
  assert.deepEqual(line, {
    flags: { 'mqtt-port': '1', 'ws-port': '2', 'auth-anonymous': 'true' },
    file: 'f',
    isHelp: false,
  });
});

test('a switch can be turned off, and does not swallow the flag after it', () => {
  const off = configOf(parseSettings(['--auth-anonymous=false']), {});
  assert.equal(off.auth.anonymous, false);
  const on = configOf(parseSettings(['--auth-anonymous', '--mqtt-port', '7']), {});
  assert.equal(on.auth.anonymous, true);
  assert.equal(on.mqtt.port, 7);
});

test('a token that no header can carry is refused without showing it', () => {
  for (const setting of ['trunk.token', 'gateway.token', 'http.token']) {
    for (const token of ['se cret', 'geh\u00e9im', 'secret\n']) {
      const said = faultOf(() =>
        configOf(parseSettings([`--${setting.replace('.', '-')}`, token]), {}),
      );
      assert.match(said, /must be printable ASCII characters without spaces/);
      assert.ok(said.includes(setting) && !said.includes(token), said);
    }
  }
});

test('an unknown flag names the nearest one', () => {
  assert.equal(
    faultOf(() => parseSettings(['--mqtt-prot', '1'])),
    'Unknown flag --mqtt-prot; did you mean --mqtt-port?',
  );
  assert.match(
    faultOf(() => parseSettings(['--zzzzzzzz'])),
    /--help lists all flags/,
  );
});

test('a flag without its value, and a word that is no flag, are faults', () => {
  assert.match(
    faultOf(() => parseSettings(['--mqtt-port'])),
    /--mqtt-port needs a value/,
  );
  assert.match(
    faultOf(() => parseSettings(['start'])),
    /Unexpected argument "start"/,
  );
});

test('the file can be named by a variable', () => {
  const file = tomlFile('data = "elsewhere"\n');
  assert.equal(configOf(parseSettings([]), { TRUNKLINE_CONFIG: file }).data, 'elsewhere');
});

test('every setting has a description, and its own flag and variable', () => {
  const all = settings();
  assert.equal(new Set(all.map((setting) => setting.flag)).size, all.length);
  assert.equal(new Set(all.map((setting) => setting.env)).size, all.length);
  for (const setting of all) assert.ok(setting.description.length > 10, setting.path);
});

test('help lists each flag of the wanted sections, aligned', () => {
  const lines = flagLines(new Set(['mqtt']));
  assert.ok(lines.some((line) => /^ {2}--mqtt-port N\s+Port of MQTT over TCP/.test(line)));
  assert.ok(!lines.some((line) => line.includes('--ws-port')));
});
