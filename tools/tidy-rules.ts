/**
 * What the checks of other tools do not see, as rules over one file's text: length, head comment,
 * words that must not stay, paths of one machine, packages that only one file may name, dead links.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Fault {
  readonly file: string;
  readonly line: number;
  readonly sentence: string;
}

export interface SourceFile {
  /** Path from the project's root, with slashes. */
  readonly path: string;
  readonly text: string;
}

const sourceLinesMax = 300;
const testLinesMax = 500;

// Put together from parts, because this file is checked, too.
const unfinishedWords = ['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'];
const switchedOff = /\b(test|it|describe|suite)\.(only|skip)\(/;
const machinePath = new RegExp(`(^|[\\s"'\`(=:])/(home|root|wo${'rk'}|Users)/[\\w.-]`);

/** Packages that would spread their ways through the code, and the files that keep them out. */
export const packageOwners: ReadonlyMap<string, readonly string[]> = new Map([
  ['aedes', ['broker/aedes-host.ts']],
  [
    '@nats-io/transport-node',
    [
      'core/backplane/nats/nats-authentication.ts',
      'core/backplane/nats/nats-connect.ts',
      'core/backplane/nats/nats-link.ts',
    ],
  ],
  ['sqlite3', ['base/sqlite.ts']],
  ['jose', ['broker/auth/json-web-keys.ts', 'broker/auth/json-web-tokens.ts']],
  ['pino', ['base/log.ts']],
  ['pino-pretty', ['base/log.ts']],
  [
    'zod',
    [
      'base/config-schema.ts',
      'base/settings/auth.ts',
      'base/settings/core.ts',
      'base/settings/devices.ts',
      'base/settings/edge.ts',
      'base/settings/foreign.ts',
      'base/settings/kinds.ts',
      'base/settings/limits.ts',
      'base/settings/rights.ts',
    ],
  ],
  [
    'smol-toml',
    [
      'base/config.ts',
      'cli/config-command.ts',
      'cli/init/init.ts',
      'cli/rules.ts',
      'cli/rules-text.ts',
    ],
  ],
]);

export function faultsOf(file: SourceFile): Fault[] {
  if (file.path.endsWith('.md')) return [...banned(file), ...machinePaths(file), ...links(file)];
  if (!/\.(ts|tsx|mjs|css|proto|yaml|sh)$/.test(file.path)) return [];
  const faults = [...banned(file), ...machinePaths(file)];
  if (!/\.(ts|tsx|mjs)$/.test(file.path)) return faults;
  return [...faults, ...length(file), ...headComment(file), ...foreignPackages(file)];
}

function* banned(file: SourceFile): Generator<Fault> {
  for (const [index, line] of file.text.split('\n').entries()) {
    for (const word of unfinishedWords) {
      if (line.includes(word)) {
        yield at(file, index + 1, `${word} must not stay: finish it, or write down the limit`);
      }
    }
    const off = switchedOff.exec(line)?.[0];
    if (off !== undefined) yield at(file, index + 1, `${off}…) must not stay: run every test`);
  }
}

function* machinePaths(file: SourceFile): Generator<Fault> {
  for (const [index, line] of file.text.split('\n').entries()) {
    if (machinePath.test(line))
      yield at(file, index + 1, 'a path of one machine: make it relative');
  }
}

function* length(file: SourceFile): Generator<Fault> {
  const max = file.path.startsWith('test/') ? testLinesMax : sourceLinesMax;
  const lines = file.text.trimEnd().split('\n').length;
  if (lines > max) yield at(file, max + 1, `${lines} lines are more than ${max}: split the file`);
}

function* headComment(file: SourceFile): Generator<Fault> {
  const start = file.text.startsWith('#!') ? file.text.indexOf('\n') + 1 : 0;
  if (!file.text.startsWith('/**', start)) {
    yield at(file, 1, 'no head comment: say in /** … */ what the file is for');
  }
}

function* foreignPackages(file: SourceFile): Generator<Fault> {
  if (/^(test|bench|tools|console)\//.test(file.path)) return;
  for (const [index, line] of file.text.split('\n').entries()) {
    const name = /(?:from|import) '([^'./][^']*)'/.exec(line)?.[1];
    const owners = name === undefined ? undefined : packageOwners.get(name);
    if (owners !== undefined && !owners.includes(file.path)) {
      yield at(file, index + 1, `only ${owners.join(' and ')} may import ${name}`);
    }
  }
}

function* links(file: SourceFile): Generator<Fault> {
  for (const [index, line] of file.text.split('\n').entries()) {
    for (const [, target] of line.matchAll(/(?:\]\(|src="|srcset=")([^)"#\s]+)/g)) {
      if (target === undefined || /^[a-z]+:/.test(target)) continue;
      if (!existsSync(join(dirname(file.path), target))) {
        yield at(file, index + 1, `the link ${target} leads nowhere`);
      }
    }
  }
}

/** Optional dependencies that the lock file names but does not hold: `npm ci` would refuse it. */
export function lockFaults(text: string): Fault[] {
  const { packages } = JSON.parse(text) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>;
  };
  const held = new Set(Object.keys(packages).map((path) => path.split('node_modules/').at(-1)));
  const faults: Fault[] = [];
  for (const [path, entry] of Object.entries(packages)) {
    for (const name of Object.keys(entry.optionalDependencies ?? {})) {
      if (held.has(name)) continue;
      const sentence = `${path} wants the optional ${name}, which has no entry: npm ci will fail`;
      faults.push({ file: 'package-lock.json', line: 1, sentence });
    }
  }
  return faults;
}

function at(file: SourceFile, line: number, sentence: string): Fault {
  return { file: file.path, line, sentence };
}
