/** `trunkline config`: shows or checks the configuration that the other commands would run with. */
import { stringify } from 'smol-toml';
import type { Config } from '../base/config.ts';
import { settings } from '../base/config-schema.ts';
import { TrunklineError } from '../base/errors.ts';
import type { CommandIo } from './command.ts';
import { configOf, flagLines, parseSettings } from './config-flags.ts';
import { nearest } from './nearest.ts';

const secretMark = '********';

export async function configCommand(args: string[], io: CommandIo): Promise<number> {
  const isCheck = args[0] === 'check';
  refuseOtherWords(args[0]);
  const line = parseSettings(isCheck ? args.slice(1) : args);
  if (line.isHelp) {
    io.stdout.write(helpText());
    return 0;
  }
  const config = configOf(line, io.env);
  io.stdout.write(isCheck ? 'The configuration is valid.\n' : `${stringify(masked(config))}\n`);
  return 0;
}

function refuseOtherWords(word: string | undefined): void {
  if (word === undefined || word === 'check' || word.startsWith('-')) return;
  const near = nearest(word, ['check']);
  const hint = near === undefined ? 'There is `trunkline config check`.' : `Did you mean ${near}?`;
  throw new TrunklineError(
    'config-invalid',
    `\`trunkline config\` has no ${JSON.stringify(word)}. ${hint}`,
  );
}

/** What is shown may end in a ticket or a chat, so secrets are not in it. */
function masked(config: Config): Config {
  const mask = (token: string) => (token === '' ? '' : secretMark);
  return {
    ...config,
    edge: {
      ...config.edge,
      foreign: config.edge.foreign.map((one) => ({ ...one, password: mask(one.password) })),
    },
    nats: {
      ...config.nats,
      token: mask(config.nats.token),
      password: mask(config.nats.password),
    },
    trunk: { ...config.trunk, token: mask(config.trunk.token) },
    gateway: { ...config.gateway, token: mask(config.gateway.token) },
    http: { ...config.http, token: mask(config.http.token) },
    auth_http: { ...config.auth_http, token: mask(config.auth_http.token) },
    auth: {
      ...config.auth,
      users: config.auth.users.map((user) => ({ ...user, password_sha256: secretMark })),
      scram_users: config.auth.scram_users.map((user) => ({ ...user, verifier: secretMark })),
    },
  };
}

function helpText(): string {
  const sections = new Set(settings().map((setting) => setting.path.split('.')[0] as string));
  return [
    'Usage: trunkline config [check] [flags]',
    '',
    'Prints the effective configuration as TOML, secrets masked; `check` only says whether it is',
    'valid. Sources, the later wins: defaults, the file, TRUNKLINE_… variables, flags.',
    '',
    'Flags',
    ...flagLines(sections),
    '',
  ].join('\n');
}
