/**
 * Reads the configuration: defaults, then the TOML file, then `TRUNKLINE_…` in the environment,
 * then flags; the later wins. Everything is checked by one schema; an unknown key, a bad value or
 * an open door is one sentence with the path and the remedy.
 */
import { readFileSync } from 'node:fs';
import { parse as parseToml } from 'smol-toml';
import { type Config, configSchema, type Setting, settings } from './config-schema.ts';
import { messageOf, TrunklineError } from './errors.ts';

export type { Config, Limits } from './config-schema.ts';

export interface ConfigSources {
  /** Path of a TOML file, or undefined for none. */
  readonly file?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Flag name without dashes to its text, such as `{'mqtt-port': '1884'}`. */
  readonly flags: Readonly<Record<string, string | undefined>>;
}

/** Throws `config-invalid` with one sentence. */
export function loadConfig(sources: ConfigSources): Config {
  const tree = sources.file === undefined ? {} : readTree(sources.file);
  const known = settings();
  refuseUnknownEnv(sources.env, known);
  for (const setting of known) {
    const fromEnv = sources.env[setting.env];
    if (fromEnv !== undefined) assign(tree, setting, fromEnv, setting.env);
    const fromFlag = sources.flags[setting.flag];
    if (fromFlag !== undefined) assign(tree, setting, fromFlag, `--${setting.flag}`);
  }
  const parsed = configSchema.safeParse(tree);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = issue?.path.join('.') ?? '';
  throw new TrunklineError('config-invalid', faultSentence(issue, path));
}

interface Issue {
  readonly code?: string | undefined;
  readonly message: string;
  readonly keys?: string[];
  /** What the bound is on: a number, a string, an array. */
  readonly origin?: string;
  readonly minimum?: number | bigint;
  readonly maximum?: number | bigint;
  readonly values?: readonly unknown[];
}

function faultSentence(issue: Issue | undefined, path: string): string {
  if (issue?.code === 'unrecognized_keys') {
    const key = [path, issue.keys?.[0]].filter(Boolean).join('.');
    return `Configuration: ${key} is not a setting. See docs/configuration.md for all settings, or remove it.`;
  }
  const wanted = issue === undefined ? 'it cannot be read' : wantedText(issue);
  return `Configuration: ${path || 'the file'} is not valid: ${wanted}. See docs/configuration.md.`;
}

/** Bounds and choices in plain words; patterns carry their own in the schema. */
function wantedText(issue: Issue): string {
  switch (issue.code) {
    case 'too_small':
      if (issue.origin === 'string' || issue.origin === 'array') return 'it must not be empty';
      return `it must be at least ${issue.minimum}`;
    case 'too_big':
      return `it must be at most ${issue.maximum}`;
    case 'invalid_value':
      return `it must be one of ${issue.values?.join(', ')}`;
    default:
      return issue.message;
  }
}

function readTree(file: string): Record<string, unknown> {
  try {
    return parseToml(readFileSync(file, 'utf8'));
  } catch (error) {
    const reason = messageOf(error).split('\n')[0];
    throw new TrunklineError(
      'config-invalid',
      `Configuration file ${file} cannot be read: ${reason}. Check the path given with --config and the TOML syntax.`,
      { cause: error },
    );
  }
}

/** A misspelt variable must not be ignored in silence. */
function refuseUnknownEnv(env: ConfigSources['env'], known: readonly Setting[]): void {
  const names = new Set(known.map((setting) => setting.env)).add('TRUNKLINE_CONFIG');
  for (const name of Object.keys(env)) {
    if (name.startsWith('TRUNKLINE_') && !names.has(name)) {
      throw new TrunklineError(
        'config-invalid',
        `Environment: ${name} is not a setting. See docs/configuration.md for all names, or unset it.`,
      );
    }
  }
}

function assign(
  tree: Record<string, unknown>,
  setting: Setting,
  text: string,
  source: string,
): void {
  const value = settingValue(setting, text, source);
  const [section, key] = setting.path.split('.') as [string, string | undefined];
  if (key === undefined) {
    tree[section] = value;
    return;
  }
  const existing = tree[section];
  const table = typeof existing === 'object' && existing !== null ? existing : {};
  tree[section] = { ...table, [key]: value };
}

function settingValue(setting: Setting, text: string, source: string): unknown {
  switch (setting.kind) {
    case 'string':
      return text;
    case 'list':
      return text.split(',').map((part) => part.trim());
    case 'number': {
      const value = Number(text);
      if (text.trim() === '' || Number.isNaN(value))
        throw badText(setting, text, source, 'a number');
      return value;
    }
    case 'boolean':
      if (text !== 'true' && text !== 'false')
        throw badText(setting, text, source, 'true or false');
      return text === 'true';
    case 'table-list':
      return tableList(setting, text, source);
  }
}

function tableList(setting: Setting, text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Without what it says: there are secrets in it.
    throw new TrunklineError('config-invalid', `${source}: ${setting.path} must be a JSON array.`);
  }
}

function badText(setting: Setting, text: string, source: string, wanted: string): TrunklineError {
  return new TrunklineError(
    'config-invalid',
    `${source}: ${setting.path} must be ${wanted}, not ${JSON.stringify(text)}.`,
  );
}

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Throws `door-open` when a door that others can reach has no credential. */
export function requireCredential(door: {
  readonly name: string;
  readonly host: string;
  readonly hasCredential: boolean;
  readonly remedy: string;
}): void {
  if (isLoopback(door.host) || door.hasCredential) return;
  throw new TrunklineError(
    'door-open',
    `${door.name} would listen on ${door.host} without authentication; ${door.remedy}, or listen on 127.0.0.1.`,
  );
}
