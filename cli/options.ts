/**
 * Options of a command: one spec gives the parsing, the checks and the text of --help.
 *
 *   const spec = defineOptions({
 *     usage: 'trunkline pub <topic> <message> [options]',
 *     summary: 'Publish one message.',
 *     positionals: { names: ['topic', 'message'] },
 *     options: {
 *       port: { kind: 'number', short: 'p', default: 1883, min: 1, max: 65_535, about: 'Port.' },
 *       json: { kind: 'flag', about: 'Print JSON.' },
 *     },
 *   });
 *   const given = parseOptions(spec, args);
 *   if (given.help) { io.stdout.write(helpText(spec)); return 0; }
 *   given.values.port      // number
 *   given.positionals      // string[]
 *
 * `--help` and `-h` are in every spec. A wrong command line throws `config-invalid` with one
 * sentence that ends with a pointer to --help.
 */
import { parseArgs } from 'node:util';
import { TrunklineError } from '../base/errors.ts';
import { nearest } from './nearest.ts';

interface OptionBase {
  readonly short?: string;
  /** One line for --help; the default and the choices are added to it. */
  readonly about: string;
}

export interface FlagOption extends OptionBase {
  readonly kind: 'flag';
}

export interface NumberOption extends OptionBase {
  readonly kind: 'number';
  readonly default?: number;
  readonly min?: number;
  readonly max?: number;
  /** Fractions are refused unless this is set. */
  readonly fraction?: boolean;
  /** What stands for the value in --help; N unless set. */
  readonly placeholder?: string;
}

export interface TextOption extends OptionBase {
  readonly kind: 'text';
  readonly default?: string;
  readonly choices?: readonly string[];
  /** What stands for the value in --help; TEXT unless set. */
  readonly placeholder?: string;
}

export type Option = FlagOption | NumberOption | TextOption;

export interface OptionsSpec<O extends Readonly<Record<string, Option>>> {
  /** The whole line, with the program's name. */
  readonly usage: string;
  readonly summary: string;
  /** Refused when absent; `optional` ones may be left out, `rest` lets the last one repeat. */
  readonly positionals?: {
    readonly names: readonly string[];
    readonly optional?: number;
    readonly rest?: boolean;
  };
  readonly options: O;
  /** Lines below the options in --help. */
  readonly notes?: readonly string[];
}

type ValueOf<T> = T extends FlagOption
  ? boolean
  : T extends NumberOption
    ? T extends { readonly default: number }
      ? number
      : number | undefined
    : T extends { readonly choices: readonly (infer C)[] }
      ? T extends { readonly default: string }
        ? C
        : C | undefined
      : T extends { readonly default: string }
        ? string
        : string | undefined;

export interface Given<O extends Readonly<Record<string, Option>>> {
  /** When true, nothing else was checked: print `helpText` and return 0. */
  readonly help: boolean;
  readonly values: { readonly [K in keyof O]: ValueOf<O[K]> };
  readonly positionals: readonly string[];
}

/** Keeps the literal types of a spec, so that `parseOptions` can type its values. */
export function defineOptions<const O extends Readonly<Record<string, Option>>>(
  spec: OptionsSpec<O>,
): OptionsSpec<O> {
  return spec;
}

/** Throws `config-invalid` for an unknown option, a bad value, or a missing positional. */
export function parseOptions<O extends Readonly<Record<string, Option>>>(
  spec: OptionsSpec<O>,
  args: readonly string[],
): Given<O> {
  const known = new Map<string, Option>(Object.entries(spec.options));
  known.set('help', { kind: 'flag', short: 'h', about: '' });
  const { tokens, positionals } = parseArgs({
    args: [...args],
    options: parserOptions(known),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const texts = new Map<string, string | true>();
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    if (!known.has(token.name)) throw unknownOption(spec, token.rawName, known.keys());
    texts.set(token.name, token.value ?? true);
  }
  const help = texts.has('help');
  if (!help) checkPositionals(spec, positionals);
  const values = new Map<string, unknown>();
  for (const [name, option] of known) {
    values.set(name, help ? undefined : statedValue(spec, { name, option, text: texts.get(name) }));
  }
  return { help, positionals, values: Object.fromEntries(values) as Given<O>['values'] };
}

/** The text of --help: usage, summary, aligned options, notes. */
export function helpText<O extends Readonly<Record<string, Option>>>(spec: OptionsSpec<O>): string {
  const rows: [string, string][] = Object.entries<Option>(spec.options).map(([name, option]) => [
    `${option.short === undefined ? '    ' : `-${option.short}, `}--${name}${placeholder(option)}`,
    `${option.about}${remarks(option)}`,
  ]);
  rows.push(['-h, --help', 'Show this text.']);
  const width = Math.max(...rows.map(([left]) => left.length));
  return [
    `Usage: ${spec.usage}`,
    '',
    spec.summary,
    '',
    'Options',
    ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`),
    ...(spec.notes === undefined ? [] : ['', ...spec.notes]),
    '',
  ].join('\n');
}

function parserOptions(
  known: ReadonlyMap<string, Option>,
): Record<string, { type: 'string' | 'boolean'; short?: string }> {
  const entries = [...known].map(([name, option]) => {
    const type: 'string' | 'boolean' = option.kind === 'flag' ? 'boolean' : 'string';
    return [name, option.short === undefined ? { type } : { type, short: option.short }] as const;
  });
  return Object.fromEntries(entries);
}

interface Stated {
  readonly name: string;
  readonly option: Option;
  /** `true` when the option stands without a value. */
  readonly text: string | true | undefined;
}

function statedValue(spec: { usage: string }, { name, option, text }: Stated): unknown {
  if (option.kind === 'flag') {
    if (typeof text === 'string') throw fault(spec, `--${name} takes no value`);
    return text === true;
  }
  if (text === undefined) return option.default;
  if (text === true) throw fault(spec, `--${name} needs a value`);
  return option.kind === 'number'
    ? numberOf(spec, { name, option, text })
    : textOf(spec, { name, option, text });
}

function numberOf(
  spec: { usage: string },
  { name, option, text }: { name: string; option: NumberOption; text: string },
): number {
  const value = Number(text);
  const isNumber = text.trim() !== '' && Number.isFinite(value);
  if (!isNumber || (option.fraction !== true && !Number.isInteger(value))) {
    const wanted = option.fraction === true ? 'a number' : 'a whole number';
    throw fault(spec, `--${name} must be ${wanted}, not ${JSON.stringify(text)}`);
  }
  if (option.min !== undefined && value < option.min) {
    throw fault(spec, `--${name} must be at least ${option.min}, not ${value}`);
  }
  if (option.max !== undefined && value > option.max) {
    throw fault(spec, `--${name} must be at most ${option.max}, not ${value}`);
  }
  return value;
}

function textOf(
  spec: { usage: string },
  { name, option, text }: { name: string; option: TextOption; text: string },
): string {
  if (option.choices !== undefined && !option.choices.includes(text)) {
    const choices = option.choices.join(', ');
    throw fault(spec, `--${name} must be one of ${choices}, not ${JSON.stringify(text)}`);
  }
  return text;
}

function checkPositionals(
  spec: OptionsSpec<Readonly<Record<string, Option>>>,
  given: readonly string[],
): void {
  const { names, optional = 0, rest = false } = spec.positionals ?? { names: [] };
  const missing = names[given.length];
  if (given.length < names.length - optional && missing !== undefined) {
    throw fault(spec, `<${missing}> is missing`);
  }
  if (!rest && given.length > names.length) {
    throw fault(spec, `${JSON.stringify(given[names.length])} is one argument too many`);
  }
}

function unknownOption(
  spec: { usage: string },
  rawName: string,
  known: Iterable<string>,
): TrunklineError {
  const near = nearest(rawName.replace(/^-+/, ''), known);
  const hint = near === undefined || !rawName.startsWith('--') ? '' : `, did you mean --${near}?`;
  return fault(spec, `${rawName} is not an option${hint}`);
}

/** `trunkline devices simulate [options]` is asked about by `trunkline devices simulate --help`. */
function fault(spec: { usage: string }, what: string): TrunklineError {
  const command = spec.usage.split(/ [[<]/)[0];
  const stop = what.endsWith('?') ? '' : '.';
  return new TrunklineError('config-invalid', `${what}${stop} See \`${command} --help\`.`);
}

function placeholder(option: Option): string {
  if (option.kind === 'flag') return '';
  return ` ${option.placeholder ?? (option.kind === 'number' ? 'N' : 'TEXT')}`;
}

function remarks(option: Option): string {
  if (option.kind === 'flag') return '';
  const parts: string[] = [];
  if (option.kind === 'text' && option.choices !== undefined) {
    parts.push(`one of ${option.choices.join(', ')}`);
  }
  if (option.default !== undefined && option.default !== '') {
    parts.push(`default ${option.default}`);
  }
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}
