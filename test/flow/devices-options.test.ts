/** Options of commands: typed values, one-sentence faults, aligned help. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TrunklineError } from '../../base/errors.ts';
import { defineOptions, helpText, parseOptions } from '../../cli/options.ts';

const spec = defineOptions({
  usage: 'trunkline thing <name> [options]',
  summary: 'Does a thing.',
  positionals: { names: ['name', 'place'], optional: 1 },
  options: {
    port: { kind: 'number', short: 'p', default: 1883, min: 1, max: 65_535, about: 'A port.' },
    rate: { kind: 'number', fraction: true, about: 'A rate.' },
    mode: { kind: 'text', choices: ['fast', 'slow'], default: 'fast', about: 'How.' },
    json: { kind: 'flag', about: 'Print JSON.' },
  },
  notes: ['That is all.'],
});

function faultOf(...args: string[]): string {
  try {
    parseOptions(spec, args);
  } catch (error) {
    assert.ok(error instanceof TrunklineError);
    assert.equal(error.code, 'config-invalid');
    return error.message;
  }
  throw new Error(`no fault for ${args.join(' ')}`);
}

test('values have their types and defaults', () => {
  const { values, positionals } = parseOptions(spec, ['one', '-p', '99', '--rate=0.5', '--json']);
  assert.deepEqual(values.port, 99);
  assert.deepEqual(values.rate, 0.5);
  assert.deepEqual(values.mode, 'fast');
  assert.deepEqual(values.json, true);
  assert.deepEqual(positionals, ['one']);
  const plain = parseOptions(spec, ['one', 'two']).values;
  assert.deepEqual([plain.port, plain.rate, plain.json], [1883, undefined, false]);
});

test('every fault is one sentence that points at --help', () => {
  const faults = new Map([
    [faultOf('a', '--prot', '1'), /^--prot is not an option, did you mean --port\?/],
    [faultOf('a', '--port', 'x'), /^--port must be a whole number, not "x"\./],
    [faultOf('a', '--port', '1.5'), /^--port must be a whole number, not "1\.5"\./],
    [faultOf('a', '--port', '0'), /^--port must be at least 1, not 0\./],
    [faultOf('a', '--port', '70000'), /^--port must be at most 65535, not 70000\./],
    [faultOf('a', '--port'), /^--port needs a value\./],
    [faultOf('a', '--mode', 'odd'), /^--mode must be one of fast, slow, not "odd"\./],
    [faultOf('a', '--json=yes'), /^--json takes no value\./],
    [faultOf(), /^<name> is missing\./],
    [faultOf('a', 'b', 'c'), /^"c" is one argument too many\./],
  ]);
  assert.equal(faults.size, 10);
  for (const [fault, expected] of faults) {
    assert.match(fault, expected);
    assert.match(fault, / See `trunkline thing --help`\.$/);
  }
});

test('--help wins over everything that is wrong beside it', () => {
  assert.equal(parseOptions(spec, ['--help', '--port', 'x']).help, true);
  assert.equal(parseOptions(spec, ['-h']).help, true);
});

test('the help text is aligned and names defaults and choices', () => {
  assert.equal(
    helpText(spec),
    `Usage: trunkline thing <name> [options]

Does a thing.

Options
  -p, --port N     A port. (default 1883)
      --rate N     A rate.
      --mode TEXT  How. (one of fast, slow; default fast)
      --json       Print JSON.
  -h, --help       Show this text.

That is all.
`,
  );
});

test('what follows two dashes is an argument, whatever it looks like', () => {
  assert.deepEqual(parseOptions(spec, ['a', '--', '--json']).positionals, ['a', '--json']);
});
