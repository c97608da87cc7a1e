/** `trunkline where`: asks a core how far a message has come, and says it in words. */
import type { WhereJson } from '../core/http/trunk-json.ts';
import type { CommandIo } from './command.ts';
import { CoreClient } from './core-client.ts';
import { defineOptions, helpText, parseOptions } from './options.ts';
import { printable } from './text-table.ts';

const spec = defineOptions({
  usage: 'trunkline where <message-id> [options]',
  summary: 'Tell how far a message has come: at its edge, in the log, at the other edges.',
  positionals: { names: ['message-id'] },
  options: {
    json: { kind: 'flag', about: 'Print JSON.' },
    http: {
      kind: 'text',
      placeholder: 'URL',
      default: 'http://127.0.0.1:8080',
      about: "Address of the core's HTTP.",
    },
    token: { kind: 'text', default: '', about: 'Bearer token of operators (http.token).' },
  },
  notes: [
    'A message id is EDGE/LANE/SEQUENCE: the edge that took the message in, the lane that it goes up',
    'and its place there. docs/operating.md says where to read it.',
  ],
});

/** The exit code of a message that nobody knows. */
const unknownCode = 2;

const sentences = new Map([
  ['unknown', 'unknown: the edge gave out no such number'],
  ['spooled', "spooled: on the edge's disk, not sent yet"],
  ['sent', 'sent: on its way to a core, or waiting to go again'],
  [
    'acknowledged',
    "acknowledged: a core had it on disk; this core's log does not have it any more",
  ],
  ['unreachable', 'not found: the log does not have it, and the edge is not here to be asked'],
]);

const states = new Map([
  ['waiting', 'waits to be sent it'],
  ['sent', 'was sent it, and has not acknowledged it'],
  ['acknowledged', 'has it'],
  ['not-wanted', 'does not want it'],
  ['away', 'is away; it gets what it wanted when it comes back'],
  ['origin', 'took it in'],
]);

/** Throws `TrunklineError`, as every command does. */
export async function whereCommand(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(spec, args);
  if (help) {
    io.stdout.write(helpText(spec));
    return 0;
  }
  const query = new URLSearchParams({ message_id: positionals[0] ?? '' });
  const found = await new CoreClient(values).get<WhereJson>(`/v1/where?${query}`);
  io.stdout.write(values.json ? `${JSON.stringify(found, null, 2)}\n` : textOf(found));
  return found.stage === 'unknown' || found.stage === 'unreachable' ? unknownCode : 0;
}

function textOf(found: WhereJson): string {
  const lines = [`${found.message_id}  ${stageOf(found)}`];
  if (found.topic !== '') lines.push(`  topic     ${printable(found.topic)}`);
  if (found.accepted_at_ms > 0) lines.push(`  accepted  ${timeOf(found.accepted_at_ms)}`);
  for (const { edge_id: edgeId, state } of found.edges) {
    lines.push(`  ${edgeId} ${states.get(state) ?? state}`);
  }
  return `${lines.join('\n')}\n`;
}

function stageOf({ stage, log_lane: lane, log_position: position, ...found }: WhereJson): string {
  if (stage !== 'logged') return sentences.get(stage) ?? stage;
  const since = timeOf(found.logged_at_ms);
  return `logged: in the core's log at position ${position} of lane ${lane} since ${since}`;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
