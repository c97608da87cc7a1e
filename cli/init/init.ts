/**
 * `trunkline init`: a folder with everything that a first system needs to be closed to strangers: an
 * authority, certificates, tokens, a device's password, and the configuration that uses them.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { stringify } from 'smol-toml';
import { messageOf, systemCode, TrunklineError } from '../../base/errors.ts';
import { programPath } from '../banner.ts';
import type { CommandIo } from '../command.ts';
import { defineOptions, helpText, parseOptions } from '../options.ts';
import { Authority } from './authority.ts';

const loopbackNames = ['localhost', '127.0.0.1', '::1'];
const nameForm = /^[A-Za-z0-9._-]{1,64}$/;
const hostForm =
  /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/;

const spec = defineOptions({
  usage: 'trunkline init [folder] [options]',
  summary: 'Make a secure configuration: authority, certificates, tokens, a first device.',
  positionals: { names: ['folder'], optional: 1 },
  options: {
    names: {
      kind: 'text',
      default: '',
      placeholder: 'NAMES',
      about:
        'Host names and addresses of this machine, with commas between; it then serves other machines, too.',
    },
    edge: { kind: 'text', default: 'edge-1', placeholder: 'NAME', about: 'Name of the edge.' },
    core: { kind: 'text', default: 'core-1', placeholder: 'NAME', about: 'Name of the core.' },
    device: {
      kind: 'text',
      default: 'device-1',
      placeholder: 'NAME',
      about: 'User name of the first device.',
    },
  },
  notes: [
    'The folder is ./trunkline unless named. Nothing that exists is written over.',
    'Plain MQTT stays on loopback. Secrets are shown once; all but the password of the device are in',
    'the configuration, which only its owner can read.',
  ],
});

interface Plan {
  readonly folder: string;
  /** Of others, besides loopback. */
  readonly names: readonly string[];
  readonly edge: string;
  readonly core: string;
  readonly device: string;
}

interface Secrets {
  readonly operator: string;
  readonly gateway: string;
  readonly password: string;
}

/** Throws `TrunklineError`, as every command does. */
export async function initCommand(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(spec, args);
  if (help) {
    io.stdout.write(helpText(spec));
    return 0;
  }
  const plan = checked({ ...values, folder: resolve(positionals[0] ?? 'trunkline') });
  await refuseUsed(plan.folder);
  const secret = () => randomBytes(24).toString('base64url');
  const secrets = { operator: secret(), gateway: secret(), password: secret() };
  try {
    await writeAll(plan, secrets);
  } catch (error) {
    const text = `The folder ${plan.folder} cannot be written: ${messageOf(error)}.`;
    throw new TrunklineError('data-unwritable', text, { cause: error });
  }
  io.stdout.write(outcome(plan, secrets));
  return 0;
}

function checked(given: {
  readonly folder: string;
  readonly names: string;
  readonly edge: string;
  readonly core: string;
  readonly device: string;
}): Plan {
  for (const flag of ['edge', 'core'] as const) {
    if (nameForm.test(given[flag])) continue;
    const text = `--${flag} is ${JSON.stringify(given[flag])}; give 1 to 64 letters, digits, dots, dashes or underscores.`;
    throw new TrunklineError('config-invalid', text);
  }
  if (given.device === '') {
    throw new TrunklineError('config-invalid', '--device is empty; give a user name.');
  }
  const names = given.names.split(',').map((name) => name.trim());
  const others = names.filter((name) => name !== '' && !loopbackNames.includes(name));
  for (const name of others) {
    if (isIP(name) !== 0 || hostForm.test(name)) continue;
    const text = `--names has ${JSON.stringify(name)}, which is neither a host name nor an address.`;
    throw new TrunklineError('config-invalid', text);
  }
  return { ...given, names: [...new Set(others)] };
}

async function refuseUsed(folder: string): Promise<void> {
  for (const name of ['trunkline.toml', 'tls']) {
    try {
      await stat(join(folder, name));
    } catch (error) {
      if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') continue;
      throw error;
    }
    const text = `${join(folder, name)} exists already, and nothing is written over: name another folder.`;
    throw new TrunklineError('config-invalid', text);
  }
}

async function writeAll(plan: Plan, secrets: Secrets): Promise<void> {
  const { core, edge, folder, names } = plan;
  await mkdir(join(folder, 'tls'), { recursive: true, mode: 0o700 });
  const authority = await Authority.create('Trunkline authority');
  const issued = await authority.issue({
    commonName: core,
    hosts: [...loopbackNames, ...names],
    uris: [`trunkline://core/${core}`, `trunkline://edge/${edge}`],
  });
  const put = (name: string, text: string, mode: number) =>
    writeFile(join(folder, name), text, { mode, flag: 'wx' });
  await put('tls/ca.pem', authority.pem.cert, 0o644);
  await put('tls/ca.key', authority.pem.key, 0o600);
  await put('tls/server.pem', issued.cert, 0o644);
  await put('tls/server.key', issued.key, 0o600);
  // Last: where it stands, everything does.
  await put('trunkline.toml', configText(plan, secrets), 0o600);
}

function configText({ core, device, edge, folder, names }: Plan, secrets: Secrets): string {
  const host = names.length === 0 ? '127.0.0.1' : '0.0.0.0';
  const at = (name: string) => join(folder, 'tls', name);
  const own = { tls_cert: at('server.pem'), tls_key: at('server.key') };
  const hash = createHash('sha256').update(secrets.password).digest('hex');
  const config = {
    data: join(folder, 'data'),
    auth: { users: [{ username: device, password_sha256: hash }] },
    tls: { cert: at('server.pem'), key: at('server.key') },
    mqtts: { host },
    wss: { host },
    edge: { id: edge },
    core: { id: core },
    trunk: { host, ...own, tls_ca: at('ca.pem') },
    gateway: { host, token: secrets.gateway, ...own },
    http: { host, token: secrets.operator, ...own },
  };
  return [
    '# Made by `trunkline init`. docs/configuration.md has every setting.',
    '# tls/ca.key is needed for new certificates alone: keep it elsewhere.',
    stringify(config),
    '',
  ].join('\n');
}

function outcome({ device, folder, names }: Plan, secrets: Secrets): string {
  const host = names[0] ?? 'localhost';
  const ca = join(folder, 'tls', 'ca.pem');
  const program = `node ${programPath()}`;
  return [
    `A secure configuration is in ${folder}.`,
    '',
    'Shown once:',
    `  device   user name ${device}, password ${secrets.password}`,
    `  gateway  token ${secrets.gateway}`,
    `  operator token ${secrets.operator}`,
    '',
    'Run it:',
    `  ${program} up --config ${join(folder, 'trunkline.toml')}`,
    '',
    'Try it in another terminal:',
    `  mosquitto_sub --cafile ${ca} -h ${host} -p 8883 -u ${device} -P ${secrets.password} -t 'fleet/#'`,
    `  NODE_EXTRA_CA_CERTS=${ca} ${program} sessions list --http https://${host}:8080 --token ${secrets.operator}`,
    '',
    `Keep ${join(folder, 'tls', 'ca.key')} elsewhere: it makes certificates that all of this trusts.`,
    '',
  ].join('\n');
}
