/**
 * Every setting as a flag: reads them from a command line, together with `--config FILE`, and lists
 * them for `--help`.
 */
import { type Config, loadConfig } from '../base/config.ts';
import { type Setting, settings } from '../base/config-schema.ts';
import { TrunklineError } from '../base/errors.ts';
import { nearest } from './nearest.ts';

/** Short names of flags. */
const aliases = [
  ['workers', 'edge-workers'],
  ['backplane', 'core-backplane'],
] as const;

export interface SettingsLine {
  readonly flags: Readonly<Record<string, string>>;
  readonly file: string | undefined;
  readonly isHelp: boolean;
}

/** Throws `config-invalid` for what is not a flag. */
export function parseSettings(args: readonly string[]): SettingsLine {
  const known = settingsByFlag();
  const flags: Record<string, string> = {};
  let file: string | undefined;
  let isHelp = false;
  for (let i = 0; i < args.length; i++) {
    const { name, inline } = split(args[i] as string);
    if (name === 'help') {
      isHelp = true;
      continue;
    }
    const setting = known.get(name);
    if (setting === undefined && name !== 'config') throw unknownFlag(name, known.keys());
    const isSwitch = setting?.kind === 'boolean' && inline === undefined;
    const value = inline ?? (isSwitch ? 'true' : args[++i]);
    if (value === undefined) {
      throw new TrunklineError('config-invalid', `Flag --${name} needs a value: --${name} VALUE.`);
    }
    if (setting === undefined) file = value;
    else flags[setting.flag] = value;
  }
  return { flags, file, isHelp };
}

function settingsByFlag(): Map<string, Setting> {
  const known = new Map(settings().map((setting) => [setting.flag, setting]));
  for (const [alias, flag] of aliases) {
    const setting = known.get(flag);
    if (setting !== undefined) known.set(alias, setting);
  }
  return known;
}

/** The configuration that a command line and an environment ask for. */
export function configOf(
  line: SettingsLine,
  env: Readonly<Record<string, string | undefined>>,
): Config {
  return loadConfig({ file: line.file ?? env['TRUNKLINE_CONFIG'], env, flags: line.flags });
}

function split(arg: string): { name: string; inline: string | undefined } {
  if (arg === '-h') return { name: 'help', inline: undefined };
  if (!arg.startsWith('--')) {
    throw new TrunklineError(
      'config-invalid',
      `Unexpected argument ${JSON.stringify(arg)}. Settings are given as --flag VALUE; --help lists them.`,
    );
  }
  const equals = arg.indexOf('=');
  if (equals < 0) return { name: arg.slice(2), inline: undefined };
  return { name: arg.slice(2, equals), inline: arg.slice(equals + 1) };
}

function unknownFlag(name: string, known: Iterable<string>): TrunklineError {
  const near = nearest(name, [...known, 'config', 'help']);
  const hint = near === undefined ? '--help lists all flags' : `did you mean --${near}?`;
  return new TrunklineError('config-invalid', `Unknown flag --${name}; ${hint}`);
}

const helpColumns = 100;

/**
 * Aligned lines for `--help`, a blank one between sections; `used` names the command's sections, or
 * settings by their path.
 */
export function flagLines(used: ReadonlySet<string>): string[] {
  const wanted = settings().filter(
    ({ path }) => used.has(path) || used.has(path.split('.')[0] as string),
  );
  const columns = [...wanted.map(flagColumn), '--config FILE', '-h, --help'];
  const width = Math.max(...columns.map((column) => column.length));
  const lines = rowLines(width, '--config FILE', 'TOML file with settings; also TRUNKLINE_CONFIG.');
  let section = '';
  for (const setting of wanted) {
    const [own = ''] = setting.path.split('.');
    if (section !== '' && own !== section) lines.push('');
    section = own;
    lines.push(...rowLines(width, flagColumn(setting), descriptionColumn(setting)));
  }
  return [...lines, '', ...rowLines(width, '-h, --help', 'Show this text.')];
}

/** A description that is too long for a line goes on below its beginning. */
function rowLines(width: number, flag: string, about: string): string[] {
  const lines: string[] = [];
  let line = `  ${flag.padEnd(width)} `;
  for (const word of about.split(' ')) {
    if (line.length + 1 + word.length > helpColumns) {
      lines.push(line);
      line = ' '.repeat(width + 3);
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}

function flagColumn(setting: Setting): string {
  switch (setting.kind) {
    case 'boolean':
      return `--${setting.flag}`;
    case 'number':
      return `--${setting.flag} N`;
    case 'list':
      return `--${setting.flag} A,B`;
    case 'table-list':
      return `--${setting.flag} JSON`;
    case 'string':
      return `--${setting.flag} TEXT`;
  }
}

function descriptionColumn(setting: Setting): string {
  const value = setting.defaultValue;
  const isNone = value === '' || value === false || (Array.isArray(value) && value.length === 0);
  return isNone ? setting.description : `${setting.description} [${String(value)}]`;
}
