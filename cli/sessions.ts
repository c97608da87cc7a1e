/** `trunkline sessions`: lists, shows and watches the sessions of the whole fleet. */
import { TrunklineError } from '../base/errors.ts';
import type { SessionJson, SessionPageJson } from '../core/http/session-json.ts';
import type { CommandIo } from './command.ts';
import { Interrupt } from './interrupt.ts';
import { nearest } from './nearest.ts';
import { defineOptions, helpText, parseOptions } from './options.ts';
import { type ServerEvent, SessionsClient } from './sessions-client.ts';
import { SessionsText } from './sessions-text.ts';

const pageSizeMax = 1_000;

const connection = {
  http: {
    kind: 'text',
    placeholder: 'URL',
    default: 'http://127.0.0.1:8080',
    about: "Address of the core's HTTP.",
  },
  token: { kind: 'text', default: '', about: 'Bearer token of operators (http.token).' },
} as const;

const filter = {
  kind: 'text',
  short: 'f',
  default: '',
  about: 'Only sessions that match.',
} as const;

const filterNotes = [
  'A filter is terms joined by AND, each field = value or field != value; a trailing * matches any',
  'ending: --filter "state = connected AND client_id = meter-*". Fields: client_id, edge_id,',
  'gateway_id, state, protocol, listener, username, region.',
];

const listSpec = defineOptions({
  usage: 'trunkline sessions list [options]',
  summary: 'List sessions by client identifier.',
  options: {
    filter,
    limit: {
      kind: 'number',
      short: 'n',
      default: 50,
      min: 1,
      max: 100_000,
      about: 'Most sessions to print.',
    },
    json: { kind: 'flag', about: 'Print a JSON object a line.' },
    ...connection,
  },
  notes: filterNotes,
});

const getSpec = defineOptions({
  usage: 'trunkline sessions get <client-id> [options]',
  summary: 'Show all that is known of one session.',
  positionals: { names: ['client-id'] },
  options: { json: { kind: 'flag', about: 'Print JSON.' }, ...connection },
});

const watchSpec = defineOptions({
  usage: 'trunkline sessions watch [options]',
  summary: 'Print the sessions that match, then every change, until interrupted.',
  options: {
    filter,
    json: { kind: 'flag', about: 'Print a JSON object a line.' },
    ...connection,
  },
  notes: filterNotes,
});

const actions = new Map([
  ['list', list],
  ['get', get],
  ['watch', watch],
]);

/** Throws `TrunklineError`, as every command does. */
export async function sessionsCommand(args: string[], io: CommandIo): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h') {
    const text = [helpText(listSpec), helpText(getSpec), helpText(watchSpec)].join('\n');
    (name === undefined ? io.stderr : io.stdout).write(text);
    return name === undefined ? 1 : 0;
  }
  const action = actions.get(name);
  if (action === undefined) throw unknownAction(name);
  return action(rest, io);
}

async function list(args: string[], io: CommandIo): Promise<number> {
  const { help, values } = parseOptions(listSpec, args);
  if (help) return showHelp(io, helpText(listSpec));
  const client = new SessionsClient(values);
  const sessions: SessionJson[] = [];
  let page: SessionPageJson;
  let pageToken = '';
  do {
    const pageSize = Math.min(pageSizeMax, values.limit - sessions.length);
    page = await client.page({ pageSize, pageToken, filter: values.filter });
    sessions.push(...page.sessions);
    pageToken = page.next_page_token;
  } while (pageToken !== '' && sessions.length < values.limit);
  io.stdout.write(values.json ? sessions.map(jsonLine).join('') : textFor(io).table(sessions));
  writeNotes(io, page, sessions.length);
  return 0;
}

/** What the table does not show must not be taken for absent. */
function writeNotes(io: CommandIo, page: SessionPageJson, shown: number): void {
  if (page.next_page_token !== '') {
    io.stderr.write(`${shown} of ${page.total_size} sessions shown; --limit N shows more.\n`);
  }
  if (!page.complete) {
    const names = page.silent_edges.join(', ');
    io.stderr.write(`Not reporting now, shown as last heard: ${names}.\n`);
  }
}

async function get(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(getSpec, args);
  if (help) return showHelp(io, helpText(getSpec));
  const session = await new SessionsClient(values).get(positionals[0] ?? '');
  io.stdout.write(
    values.json ? `${JSON.stringify(session, null, 2)}\n` : textFor(io).details(session),
  );
  return 0;
}

async function watch(args: string[], io: CommandIo): Promise<number> {
  const { help, values } = parseOptions(watchSpec, args);
  if (help) return showHelp(io, helpText(watchSpec));
  const client = new SessionsClient(values);
  const text = textFor(io);
  const interrupt = new Interrupt();
  try {
    for await (const event of client.watch(values.filter, interrupt.signal)) {
      if (event.event === 'closing') throw closed(event);
      io.stdout.write(values.json ? eventJson(event) : eventText(event, text));
    }
  } finally {
    interrupt.close();
  }
  if (interrupt.signal.aborted) return 0;
  throw new TrunklineError('unreachable', 'The core ended the watch; run it again.');
}

function eventJson({ event, id, data }: ServerEvent): string {
  return jsonLine({ event, sequence: Number(id), ...JSON.parse(data) });
}

function eventText({ event, data }: ServerEvent, text: SessionsText): string {
  const content = JSON.parse(data);
  if (event !== 'snapshot_end') return text.event(event, content);
  const count = content.session_count;
  return `-- ${count} session${count === 1 ? '' : 's'}; changes follow --\n`;
}

function closed({ data }: ServerEvent): TrunklineError {
  const { message } = JSON.parse(data) as { message: string };
  return new TrunklineError('unreachable', message);
}

function jsonLine(content: unknown): string {
  return `${JSON.stringify(content)}\n`;
}

function showHelp(io: CommandIo, text: string): number {
  io.stdout.write(text);
  return 0;
}

function textFor(io: CommandIo): SessionsText {
  const isTerminal = 'isTTY' in io.stdout && io.stdout.isTTY === true;
  return new SessionsText({ isColoured: isTerminal && !io.env['NO_COLOR'] });
}

function unknownAction(name: string): TrunklineError {
  const near = nearest(name, actions.keys());
  const hint = near === undefined ? 'There are list, get and watch.' : `Did you mean ${near}?`;
  return new TrunklineError(
    'config-invalid',
    `\`trunkline sessions\` has no ${JSON.stringify(name)}. ${hint}`,
  );
}
