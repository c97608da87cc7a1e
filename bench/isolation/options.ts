/** What the command line of `npm run bench:isolation` asks for. */
import { parseArgs } from 'node:util';
import type { System } from '../edge/scenarios.ts';
import { named, positive, wrapped } from '../support/flags.ts';
import { disturbances } from './disturbances.ts';

export const systems = ['mosquitto-nodelay', 'trunkline'] as const satisfies readonly System[];

export const help = `Usage: npm run bench:isolation -- [flags]

Measures the latency of clients that have nothing to do with a disturbance, without it and during it,
at an edge and at mosquitto, each on one core, all clients on another. docs/benchmarks.md tells how to
read it.

  --seconds N      Time that is measured without a disturbance, and again with it [3]
  --rounds N       Rounds; medians are printed [3]
  --only NAMES     Only these disturbances, with commas between
  --systems NAMES  Only these systems, with commas between
  --edge FILE      trunkline.js of the build to measure [the one beside the bench]
  --data DIR       Where the edge keeps its data; must be on a disk [folder of temporary files]
  --markdown       The table as docs/benchmarks.md has it
  --json FILE      Writes all figures of all rounds there
  --profile DIR    Writes a CPU profile of the edge for each measurement there
  -h, --help       This text

Disturbances: ${wrapped(disturbances.map(({ name }) => name)).trim()}
Systems:      ${wrapped(systems).trim()}
`;

export interface Options {
  readonly seconds: number;
  readonly rounds: number;
  readonly disturbances: readonly string[];
  readonly systems: readonly System[];
  readonly edge: string | undefined;
  readonly data: string | undefined;
  readonly isMarkdown: boolean;
  readonly json: string | undefined;
  readonly profile: string | undefined;
}

/** Null when help is asked for. */
export function optionsOf(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '3' },
      rounds: { type: 'string', default: '3' },
      only: { type: 'string' },
      systems: { type: 'string' },
      edge: { type: 'string' },
      data: { type: 'string' },
      markdown: { type: 'boolean', default: false },
      json: { type: 'string' },
      profile: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  const all = disturbances.map(({ name }) => name);
  return {
    seconds: positive('seconds', values.seconds),
    rounds: positive('rounds', values.rounds),
    disturbances: named('only', values.only, all) ?? all,
    systems: named('systems', values.systems, systems) ?? systems,
    edge: values.edge,
    data: values.data,
    isMarkdown: values.markdown,
    json: values.json,
    profile: values.profile,
  };
}
