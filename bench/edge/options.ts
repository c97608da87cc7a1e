/** What the command line of `npm run bench:edge` asks for. */
import { parseArgs } from 'node:util';
import { named, positive, wrapped } from '../support/flags.ts';
import { type System, scenarios, systems } from './scenarios.ts';

export const help = `Usage: npm run bench:edge -- [flags]

Measures an edge and mosquitto in turn, each on one core, the load generator on another, and prints
what an edge does for each thing that mosquitto does. docs/benchmarks.md tells how to read it.

  --seconds N      Time that is measured, after warming up [1]
  --rounds N       Rounds; medians are printed [3]
  --only NAMES     Only these scenarios, with commas between
  --skip NAMES     All scenarios but these
  --systems NAMES  Only these systems, with commas between
  --edge FILE      trunkline.js of the build to measure [the one beside the bench]
  --data DIR       Where the edge keeps its data; must be on a disk [folder of temporary files]
  --protocol N     MQTT version of the load: 4 (which is 3.1.1) or 5 [4]
  --markdown       Tables as docs/benchmarks.md has them
  --json FILE      Writes all figures of all rounds there
  --profile DIR    Writes a CPU profile of the edge for each measurement there
  -h, --help       This text

Scenarios: ${wrapped(scenarios.map(({ name }) => name))}
Systems:   ${wrapped(systems)}
`;

export interface Options {
  readonly seconds: number;
  readonly rounds: number;
  readonly scenarios: readonly string[];
  readonly systems: readonly System[];
  readonly edge: string | undefined;
  readonly data: string | undefined;
  readonly protocol: 4 | 5;
  readonly isMarkdown: boolean;
  readonly json: string | undefined;
  readonly profile: string | undefined;
}

/** Null when help is asked for. */
export function optionsOf(args: readonly string[]): Options | null {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '3' },
      only: { type: 'string' },
      skip: { type: 'string' },
      systems: { type: 'string' },
      edge: { type: 'string' },
      data: { type: 'string' },
      protocol: { type: 'string', default: '4' },
      markdown: { type: 'boolean', default: false },
      json: { type: 'string' },
      profile: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return null;
  if (values.protocol !== '4' && values.protocol !== '5') {
    throw new Error(`--protocol is ${JSON.stringify(values.protocol)}; give 4 or 5.`);
  }
  const all = scenarios.map(({ name }) => name);
  const skipped = new Set(named('skip', values.skip, all) ?? []);
  return {
    seconds: positive('seconds', values.seconds),
    rounds: positive('rounds', values.rounds),
    scenarios: (named('only', values.only, all) ?? all).filter((name) => !skipped.has(name)),
    systems: named('systems', values.systems, systems) ?? systems,
    edge: values.edge,
    data: values.data,
    protocol: values.protocol === '5' ? 5 : 4,
    isMarkdown: values.markdown,
    json: values.json,
    profile: values.profile,
  };
}
