/** `trunkline drain core`: sends the edges of a core to another one, or lets them in again. */
import { TrunklineError } from '../base/errors.ts';
import type { DrainJson } from '../core/http/drain-route.ts';
import type { CommandIo } from './command.ts';
import { CoreClient } from './core-client.ts';
import { defineOptions, helpText, parseOptions } from './options.ts';

const spec = defineOptions({
  usage: 'trunkline drain core [options]',
  summary: 'Send the edges of a core to another one, and let no edge in until --undo.',
  positionals: { names: ['core'] },
  options: {
    within: {
      kind: 'text',
      short: 'w',
      default: '',
      placeholder: 'TIME',
      about: 'Time in which the edges go, such as 30s or 2m; what suits their number if left out.',
    },
    to: {
      kind: 'text',
      default: '',
      placeholder: 'HOST:PORT',
      about: 'Trunk of the core that they go to; any other that they know if left out.',
    },
    undo: { kind: 'flag', about: 'Let edges in again.' },
    json: { kind: 'flag', about: 'Print JSON.' },
    http: {
      kind: 'text',
      placeholder: 'URL',
      default: 'http://127.0.0.1:8080',
      about: "Address of the core's HTTP.",
    },
    token: { kind: 'text', default: '', about: 'Bearer token of operators (http.token).' },
  },
  notes: ['Edges that know no other core stay. The core goes on, and the devices stay connected.'],
});

const unitMs = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/** Throws `TrunklineError`, as every command does. */
export async function drainCommand(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(spec, args);
  if (help) {
    io.stdout.write(helpText(spec));
    return 0;
  }
  if (positionals[0] !== 'core') {
    const given = JSON.stringify(positionals[0]);
    throw new TrunklineError('config-invalid', `What drains is "core", not ${given}.`);
  }
  const answer = await new CoreClient(values).post<DrainJson>('/v1/core:drain', {
    within_ms: durationMs(values.within),
    address: values.to,
    undo: values.undo,
  });
  io.stdout.write(values.json ? `${JSON.stringify(answer, null, 2)}\n` : textOf(answer));
  return 0;
}

function durationMs(text: string): number {
  if (text === '') return 0;
  const [, number = '', unit = ''] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? [];
  const factor = unitMs.get(unit);
  if (factor !== undefined) return Number(number) * factor;
  const given = JSON.stringify(text);
  throw new TrunklineError(
    'config-invalid',
    `--within is ${given}; give a number with a unit: 500ms, 30s, 2m or 1h.`,
  );
}

function textOf({ draining, edges }: DrainJson): string {
  const willing = edges.filter(({ error }) => error === '').length;
  const lines = draining
    ? [`The core drains: ${willing} of ${edges.length} edges go.`]
    : ['The core lets edges in again.'];
  for (const { edge_id: edgeId, error } of edges) {
    if (error !== '') lines.push(`  ${edgeId} ${draining ? 'stays' : 'may still go'}: ${error}`);
  }
  return `${lines.join('\n')}\n`;
}
