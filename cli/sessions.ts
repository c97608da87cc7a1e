/** `trunkline sessions`: lists, shows, watches and explains the sessions of the whole fleet. */
import { TrunklineError } from '../base/errors.ts';
import type { ExplainJson, SessionJson, SessionPageJson } from '../core/http/session-json.ts';
import type { CommandIo } from './command.ts';
import { Interrupt } from './interrupt.ts';
import { nearest } from './nearest.ts';
import { helpText, parseOptions } from './options.ts';
import { type GroupPageJson, type ServerEvent, SessionsClient } from './sessions-client.ts';
import { history, why } from './sessions-history.ts';
import { getSpec, historySpec, listSpec, watchSpec, whySpec } from './sessions-options.ts';
import { jsonLine, showHelp, textFor, writeSilent } from './sessions-output.ts';
import type { SessionsText } from './sessions-text.ts';

const pageSizeMax = 1_000;

const actions = new Map([
  ['list', list],
  ['get', get],
  ['watch', watch],
  ['history', history],
  ['why', why],
]);

/** Throws `TrunklineError`, as every command does. */
export async function sessionsCommand(args: string[], io: CommandIo): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h') {
    const text = [
      helpText(listSpec),
      helpText(getSpec),
      helpText(watchSpec),
      helpText(historySpec),
      helpText(whySpec),
    ].join('\n');
    (name === undefined ? io.stderr : io.stdout).write(text);
    return name === undefined ? 1 : 0;
  }
  const action = actions.get(name);
  if (action === undefined) throw unknownAction(name);
  return action(rest, io);
}

type ListValues = ReturnType<typeof parseOptions<typeof listSpec.options>>['values'];

async function list(args: string[], io: CommandIo): Promise<number> {
  const { help, values } = parseOptions(listSpec, args);
  if (help) return showHelp(io, helpText(listSpec));
  const isGrouped = values.group !== '' || values.figures !== '';
  if (values.follow) return followed(values, isGrouped, io);
  if (isGrouped) return groups(values, io);
  const client = new SessionsClient(values);
  const sessions: SessionJson[] = [];
  let page: SessionPageJson;
  let pageToken = '';
  do {
    page = await client.page({
      page_size: String(Math.min(pageSizeMax, values.limit - sessions.length)),
      page_token: pageToken,
      filter: values.filter,
      order_by: values.order,
      fields: values.fields,
      explain: String(values.explain),
    });
    sessions.push(...page.sessions);
    pageToken = page.next_page_token;
  } while (pageToken !== '' && sessions.length < values.limit);
  io.stdout.write(listed(sessions, values, textFor(io)));
  if (page.next_page_token !== '') {
    io.stderr.write(
      `${sessions.length} of ${page.total_size} sessions shown; --limit N shows more.\n`,
    );
  }
  writeNotes(io, page);
  return 0;
}

function listed(
  sessions: readonly SessionJson[],
  { json, fields }: ListValues,
  text: SessionsText,
): string {
  if (json) return sessions.map(jsonLine).join('');
  if (fields === '') return text.table(sessions);
  // By the names that the core has for them, whatever they were called.
  const names = Object.keys(sessions[0] ?? {});
  return text.fields(names, sessions);
}

async function groups(values: ListValues, io: CommandIo): Promise<number> {
  const page = await new SessionsClient(values).groups({
    page_size: String(Math.min(pageSizeMax, values.limit)),
    filter: values.filter,
    order_by: values.order,
    group_by: values.group,
    aggregates: values.figures,
    explain: String(values.explain),
  });
  io.stdout.write(values.json ? groupRows(page).map(jsonLine).join('') : textFor(io).groups(page));
  if (page.next_page_token !== '') {
    io.stderr.write(`${page.groups.length} of ${page.total_groups} groups shown.\n`);
  }
  writeNotes(io, page);
  return 0;
}

function groupRows({ group_by, aggregates, groups: rows }: GroupPageJson) {
  return rows.map(({ keys, count, values }) => ({
    ...Object.fromEntries(group_by.map((name, index) => [name, keys[index]])),
    count,
    ...Object.fromEntries(aggregates.map((name, index) => [name, values[index]])),
  }));
}

/** What the table does not show must not be taken for absent. */
function writeNotes(
  io: CommandIo,
  page: {
    readonly explain?: ExplainJson;
    readonly complete: boolean;
    silent_edges: readonly string[];
  },
): void {
  writeSilent(io, page);
  if (page.explain === undefined) return;
  const { plan, order, examined, matched, duration_us: micros, slices } = page.explain;
  const ms = (micros / 1_000).toFixed(1);
  io.stderr.write(
    `Found by ${plan}: ${examined} examined, ${matched} matched. Ordered by ${order}. ${ms} ms in ${slices} slices.\n`,
  );
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
  const text = textFor(io);
  return watched(values, values.resume, (event) => {
    io.stdout.write(values.json ? eventJson(event) : eventText(event, text));
  });
}

/** The snapshot as a table, and what comes after it a line each. */
function followed(values: ListValues, isGrouped: boolean, io: CommandIo): Promise<number> {
  if (isGrouped || values.order !== '' || values.explain) {
    const remedy = 'leave out --order, --group, --figures and --explain, or --follow';
    throw new TrunklineError('config-invalid', `--follow shows changes as they come; ${remedy}.`);
  }
  const text = textFor(io);
  const sessions: SessionJson[] = [];
  return watched(values, '', (event) => {
    if (values.json) io.stdout.write(eventJson(event));
    else if (event.event === 'snapshot') sessions.push(JSON.parse(event.data));
    else if (event.event !== 'snapshot_end') io.stdout.write(eventText(event, text));
    else {
      const shown = sessions.splice(0).slice(0, values.limit);
      io.stdout.write(listed(shown, values, text) + eventText(event, text));
    }
  });
}

async function watched(
  values: Pick<ListValues, 'filter' | 'fields' | 'http' | 'token'>,
  resume: string,
  take: (event: ServerEvent) => void,
): Promise<number> {
  const client = new SessionsClient(values);
  const interrupt = new Interrupt();
  const query = { filter: values.filter, fields: values.fields, resume_from: resume };
  try {
    for await (const event of client.watch(query, interrupt.signal)) {
      if (event.event === 'closing') throw closed(event);
      take(event);
    }
  } finally {
    interrupt.close();
  }
  if (interrupt.signal.aborted) return 0;
  throw new TrunklineError('unreachable', 'The core ended the watch; run it again.');
}

function eventJson({ event, id, data }: ServerEvent): string {
  const [sequence, position] = id.split(':');
  const place = position === undefined ? {} : { position };
  return jsonLine({ event, sequence: Number(sequence), ...place, ...JSON.parse(data) });
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

function unknownAction(name: string): TrunklineError {
  const near = nearest(name, actions.keys());
  const known = 'There are list, get, watch, history and why.';
  const hint = near === undefined ? known : `Did you mean ${near}?`;
  return new TrunklineError(
    'config-invalid',
    `\`trunkline sessions\` has no ${JSON.stringify(name)}. ${hint}`,
  );
}
