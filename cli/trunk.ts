/** `trunkline trunk status`: how the link of each edge does, once or again and again. */
import { TrunklineError } from '../base/errors.ts';
import type { TrunkJson } from '../core/http/trunk-json.ts';
import type { CommandIo } from './command.ts';
import { CoreClient } from './core-client.ts';
import { Interrupt, waitUnlessAborted } from './interrupt.ts';
import { defineOptions, helpText, parseOptions } from './options.ts';
import { TrunkText } from './trunk-text.ts';

const watchMs = 1_000;

const spec = defineOptions({
  usage: 'trunkline trunk status [edge] [options]',
  summary: 'Show the backlog, proof, rates and credits of every edge, or of one with its lanes.',
  positionals: { names: ['status', 'edge'], optional: 1 },
  options: {
    check: { kind: 'flag', about: 'Exit with 2 when an edge is not healthy.' },
    watch: { kind: 'flag', short: 'w', about: 'Show it again each second, until interrupted.' },
    json: { kind: 'flag', about: 'Print JSON; with --watch, an object a line.' },
    http: {
      kind: 'text',
      placeholder: 'URL',
      default: 'http://127.0.0.1:8080',
      about: "Address of the core's HTTP.",
    },
    token: { kind: 'text', default: '', about: 'Bearer token of operators (http.token).' },
  },
  notes: [
    'OLDEST is how long the oldest message has waited for the core. PROOF is the time since a canary',
    'came back the whole way. CREDIT is what the core lets the edge send at present.',
  ],
});

/** Tells it from a command that failed. */
const unhealthyCode = 2;

const clearScreen = '\u001b[H\u001b[2J';

interface Asked {
  readonly client: CoreClient;
  /** Undefined for all. */
  readonly edge: string | undefined;
  readonly json: boolean;
  readonly watch: boolean;
}

/** Throws `TrunklineError`, as every command does. */
export async function trunkCommand(args: string[], io: CommandIo): Promise<number> {
  const isBare = args.length === 0;
  const { help, values, positionals } = parseOptions(spec, isBare ? ['--help'] : args);
  if (help) {
    (isBare ? io.stderr : io.stdout).write(helpText(spec));
    return isBare ? 1 : 0;
  }
  const [action, edge] = positionals;
  if (action !== 'status') {
    const given = JSON.stringify(action);
    throw new TrunklineError('config-invalid', `What the trunk shows is "status", not ${given}.`);
  }
  const { json, watch } = values;
  const asked = { client: new CoreClient(values), edge, json, watch };
  const trunks = watch ? await watchAll(asked, io) : await show(asked, io);
  const isHealthy = trunks.every(({ faults }) => faults.length === 0);
  return values.check && !isHealthy ? unhealthyCode : 0;
}

/** Answers what it showed last. */
async function watchAll(asked: Asked, io: CommandIo): Promise<readonly TrunkJson[]> {
  const interrupt = new Interrupt();
  let trunks: readonly TrunkJson[] = [];
  try {
    while (!interrupt.signal.aborted) {
      trunks = await show(asked, io);
      await waitUnlessAborted(watchMs, interrupt.signal);
    }
  } finally {
    interrupt.close();
  }
  return trunks;
}

async function show(asked: Asked, io: CommandIo): Promise<readonly TrunkJson[]> {
  const { edge, json, watch } = asked;
  const trunks = await ask(asked);
  const isTerminal = 'isTTY' in io.stdout && io.stdout.isTTY === true;
  const answer = edge === undefined ? { trunks } : { trunk: trunks[0] };
  if (json) io.stdout.write(`${JSON.stringify(answer, null, watch ? 0 : 2)}\n`);
  else {
    const text = new TrunkText({ isColoured: isTerminal && io.env['NO_COLOR'] === undefined });
    const [first] = trunks;
    const isOne = edge !== undefined && first !== undefined;
    const shown = isOne ? text.details(first, Date.now()) : text.table(trunks);
    io.stdout.write(watch && isTerminal ? clearScreen + shown : shown);
  }
  return trunks;
}

async function ask({ client, edge }: Asked): Promise<readonly TrunkJson[]> {
  if (edge === undefined) return (await client.get<{ trunks: TrunkJson[] }>('/v1/trunks')).trunks;
  const path = `/v1/trunks/${encodeURIComponent(edge)}`;
  return [(await client.get<{ trunk: TrunkJson }>(path)).trunk];
}
