/** The options of `trunkline sessions` and its actions. */
import { defineOptions } from './options.ts';

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
  about: 'Only what matches.',
} as const;

const limit = {
  kind: 'number',
  short: 'n',
  default: 50,
  min: 1,
  max: 100_000,
  about: 'Most rows to print.',
} as const;

const jsonLines = { kind: 'flag', about: 'Print a JSON object a line.' } as const;

const fields = {
  kind: 'text',
  default: '',
  placeholder: 'NAMES',
  about: 'Nothing but these fields, joined by commas.',
} as const;

const filterNotes = [
  'A filter compares fields with values: --filter "state = connected AND client_id = meter-*". There',
  'are = != < <= > >= and : for what a text has in it, AND, OR (which binds closer), NOT, parentheses,',
  'wildcards, times such as now-5m, spans such as 90s; a word alone is searched for. docs/fleet.md',
  'has the language and the fields.',
];

export const listSpec = defineOptions({
  usage: 'trunkline sessions list [options]',
  summary: 'List sessions, or groups of them with their figures.',
  options: {
    filter,
    order: {
      kind: 'text',
      short: 'o',
      default: '',
      placeholder: 'FIELDS',
      about: 'Order, such as "queue_messages desc, edge_id"; by client identifier at last.',
    },
    group: {
      kind: 'text',
      short: 'g',
      default: '',
      placeholder: 'FIELDS',
      about: 'One line for each group of equal values in these fields.',
    },
    figures: {
      kind: 'text',
      default: '',
      placeholder: 'LIST',
      about: 'Of each group: sum(f), avg(f), min(f), max(f), p99(f) and other percentiles.',
    },
    fields,
    limit,
    follow: { kind: 'flag', about: 'Then print every change, until interrupted.' },
    explain: { kind: 'flag', about: 'Tell on standard error how the query was answered.' },
    json: jsonLines,
    ...connection,
  },
  notes: filterNotes,
});

export const getSpec = defineOptions({
  usage: 'trunkline sessions get <client-id> [options]',
  summary: 'Show all that is known of one session.',
  positionals: { names: ['client-id'] },
  options: { json: { kind: 'flag', about: 'Print JSON.' }, ...connection },
});

export const watchSpec = defineOptions({
  usage: 'trunkline sessions watch [options]',
  summary: 'Print the sessions that match, then every change, until interrupted.',
  options: {
    filter,
    fields,
    resume: {
      kind: 'text',
      default: '',
      placeholder: 'POSITION',
      about: 'Take up a watch: the last "position" that --json printed.',
    },
    json: jsonLines,
    ...connection,
  },
  notes: filterNotes,
});

export const historySpec = defineOptions({
  usage: 'trunkline sessions history [options]',
  summary: 'What happened in the last days: connections, refusals, takeovers, expiries.',
  options: {
    filter,
    oldest: { kind: 'flag', about: 'The oldest first.' },
    limit,
    json: jsonLines,
    ...connection,
  },
  notes: [
    'The language is that of sessions: --filter "kind = refused AND time > now-1h". docs/fleet.md has',
    'its fields.',
  ],
});

export const whySpec = defineOptions({
  usage: 'trunkline sessions why <client-id> [options]',
  summary: 'Why a device lost its connection, or is not there.',
  positionals: { names: ['client-id'] },
  options: {
    at: {
      kind: 'text',
      default: '',
      placeholder: 'TIME',
      about: 'When: 03:12 (the last time it was), 2026-01-31T03:12:00Z or now-2h; now unless told.',
    },
    json: { kind: 'flag', about: 'Print JSON.' },
    ...connection,
  },
});
