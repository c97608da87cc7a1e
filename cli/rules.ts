/** `trunkline rules`: shows and changes what crosses the trunk, for all edges or for one. */
import { readFile } from 'node:fs/promises';
import { parse as parseToml } from 'smol-toml';
import { messageOf, TrunklineError } from '../base/errors.ts';
import { parseRules, ruleJson } from '../base/rules/rule.ts';
import type { RulesChangeJson, RuleVersionJson } from '../core/http/rules-json.ts';
import type { CommandIo } from './command.ts';
import { CoreClient } from './core-client.ts';
import { nearest } from './nearest.ts';
import { defineOptions, helpText, parseOptions } from './options.ts';
import { changeText, historyText, rulesText } from './rules-text.ts';

const common = {
  edge: {
    kind: 'text',
    short: 'e',
    default: '',
    placeholder: 'NAME',
    about: 'The rules of this edge alone; without it, those of all edges.',
  },
  json: { kind: 'flag', about: 'Print JSON.' },
  http: {
    kind: 'text',
    placeholder: 'URL',
    default: 'http://127.0.0.1:8080',
    about: "Address of the core's HTTP.",
  },
  token: { kind: 'text', default: '', about: 'Bearer token of operators (http.token).' },
} as const;

const change = {
  'dry-run': { kind: 'flag', about: 'Print what would change, and change nothing.' },
  expect: {
    kind: 'number',
    default: 0,
    min: 0,
    about: 'Refuse unless this is the present version; 0 for any.',
    placeholder: 'VERSION',
  },
} as const;

const getSpec = defineOptions({
  usage: 'trunkline rules get [options]',
  summary: 'Show the rules in force, in the form that `rules set` reads.',
  options: common,
});

const setSpec = defineOptions({
  usage: 'trunkline rules set <file> [topic...] [options]',
  summary: 'Put the rules of a TOML or JSON file in force, at once, and tell who took them.',
  positionals: { names: ['file', 'topic'], optional: 1, rest: true },
  options: {
    ...change,
    comment: { kind: 'text', short: 'm', default: '', about: 'Kept with the version.' },
    ...common,
  },
  notes: ['Of each topic that is named it is told where it goes now and where it will go.'],
});

const historySpec = defineOptions({
  usage: 'trunkline rules history [options]',
  summary: 'List the last 20 versions.',
  options: common,
});

const rollbackSpec = defineOptions({
  usage: 'trunkline rules rollback <version> [topic...] [options]',
  summary: 'Put an earlier version in force again, as a new one.',
  positionals: { names: ['version', 'topic'], optional: 1, rest: true },
  options: { ...change, ...common },
});

const removeSpec = defineOptions({
  usage: 'trunkline rules remove [options]',
  summary: 'Take the rules of one edge away, so that it follows those of all; or those of all.',
  options: { ...change, ...common },
});

const actions = new Map([
  ['get', get],
  ['set', set],
  ['history', history],
  ['rollback', rollback],
  ['remove', remove],
]);

/** Throws `TrunklineError`, as every command does. */
export async function rulesCommand(args: string[], io: CommandIo): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h') {
    const specs = [getSpec, setSpec, historySpec, rollbackSpec, removeSpec];
    const text = specs.map((spec) => helpText(spec as typeof getSpec)).join('\n');
    (name === undefined ? io.stderr : io.stdout).write(text);
    return name === undefined ? 1 : 0;
  }
  const action = actions.get(name);
  if (action === undefined) throw unknownAction(name);
  return action(rest, io);
}

async function get(args: string[], io: CommandIo): Promise<number> {
  const { help, values } = parseOptions(getSpec, args);
  if (help) return showHelp(io, helpText(getSpec));
  const path = `/v1/rules?${new URLSearchParams({ name: values.edge })}`;
  const answer = await new CoreClient(values).get<{ rules: RuleVersionJson; names: string[] }>(
    path,
  );
  io.stdout.write(values.json ? jsonText(answer.rules) : rulesText(answer.rules, answer.names));
  return 0;
}

async function set(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(setSpec, args);
  if (help) return showHelp(io, helpText(setSpec));
  const [file = '', ...topics] = positionals;
  const rules = parseRules(await contentOf(file));
  const answer = await new CoreClient(values).post<RulesChangeJson>('/v1/rules', {
    name: values.edge,
    rules: rules.map(ruleJson),
    expected_version: values.expect,
    dry_run: values['dry-run'],
    comment: values.comment,
    sample_topics: topics,
  });
  return told(answer, io, values.json);
}

async function history(args: string[], io: CommandIo): Promise<number> {
  const { help, values } = parseOptions(historySpec, args);
  if (help) return showHelp(io, helpText(historySpec));
  const path = `/v1/rules/versions?${new URLSearchParams({ name: values.edge })}`;
  const { versions } = await new CoreClient(values).get<{ versions: RuleVersionJson[] }>(path);
  io.stdout.write(values.json ? jsonText(versions) : historyText(versions));
  return 0;
}

async function rollback(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(rollbackSpec, args);
  if (help) return showHelp(io, helpText(rollbackSpec));
  const [version = '', ...topics] = positionals;
  if (!/^[1-9]\d{0,14}$/.test(version)) {
    const text = `The version is ${JSON.stringify(version)}; give a number that \`trunkline rules history\` lists.`;
    throw new TrunklineError('config-invalid', text);
  }
  const answer = await new CoreClient(values).post<RulesChangeJson>('/v1/rules:rollback', {
    name: values.edge,
    version: Number(version),
    expected_version: values.expect,
    dry_run: values['dry-run'],
    sample_topics: topics,
  });
  return told(answer, io, values.json);
}

async function remove(args: string[], io: CommandIo): Promise<number> {
  const { help, values } = parseOptions(removeSpec, args);
  if (help) return showHelp(io, helpText(removeSpec));
  const answer = await new CoreClient(values).post<RulesChangeJson>('/v1/rules', {
    name: values.edge,
    remove: true,
    expected_version: values.expect,
    dry_run: values['dry-run'],
  });
  return told(answer, io, values.json);
}

/** 2 when an edge that is attached did not take the rules. */
function told(answer: RulesChangeJson, io: CommandIo, asJson: boolean): number {
  io.stdout.write(asJson ? jsonText(answer) : changeText(answer));
  return answer.dry_run || answer.edges.every((edge) => edge.acknowledged) ? 0 : 2;
}

async function contentOf(file: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const words = `The file ${file} cannot be read: ${messageOf(error)}.`;
    throw new TrunklineError('config-invalid', words, { cause: error });
  }
  try {
    return text.trimStart().startsWith('{') ? JSON.parse(text) : parseToml(text);
  } catch (error) {
    const words = `The file ${file} is neither TOML nor JSON: ${messageOf(error).trim()}`;
    throw new TrunklineError('config-invalid', words, { cause: error });
  }
}

function jsonText(content: unknown): string {
  return `${JSON.stringify(content, null, 2)}\n`;
}

function showHelp(io: CommandIo, text: string): number {
  io.stdout.write(text);
  return 0;
}

function unknownAction(name: string): TrunklineError {
  const near = nearest(name, actions.keys());
  const names = [...actions.keys()].join(', ');
  const hint = near === undefined ? `There are ${names}.` : `Did you mean ${near}?`;
  return new TrunklineError(
    'config-invalid',
    `\`trunkline rules\` has no ${JSON.stringify(name)}. ${hint}`,
  );
}
