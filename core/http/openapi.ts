/** The operators' HTTP as an OpenAPI document, at /v1/openapi.json: for tools that make clients. */

import { flag, number, object, refTo, type Schema, schemas, text } from './openapi-schemas.ts';
import { jsonReply, type Reply } from './reply.ts';

interface Parameter {
  readonly name: string;
  readonly in: 'query' | 'path' | 'header';
  readonly required?: boolean;
  readonly description: string;
  readonly schema: Schema;
}

interface Answer {
  readonly summary: string;
  readonly parameters?: readonly Parameter[];
  readonly schema: Schema;
  readonly type?: string;
}

const filter = query('filter', text, 'Which ones, in the language of AIP-160; all when empty.');
const fields = query('fields', text, 'Nothing but these, joined by commas, and client_id.');
const orderBy = query(
  'order_by',
  text,
  'Fields joined by commas, each with asc or desc behind it.',
);
const page = [
  query('page_size', number, '1 to 1,000; 50 unless told.'),
  query('page_token', text, 'The next_page_token of the page before.'),
];
const explain = query('explain', flag, 'Tells how the query was answered.');
const clientId = inPath('client_id', 'Percent-encoded.');
const name = query('name', text, 'An edge, or left out for the rules of all.');

const reads: Readonly<Record<string, Answer>> = {
  '/v1/sessions': {
    summary: 'A page of the sessions that match.',
    parameters: [filter, orderBy, fields, ...page, explain],
    schema: refTo('SessionPage'),
  },
  '/v1/sessions:group': {
    summary: 'Groups of the sessions that match, with figures of each.',
    parameters: [
      filter,
      query('group_by', text, 'Fields joined by commas.'),
      query('aggregates', text, 'count, sum(f), avg(f), min(f), max(f), p99(f), joined by commas.'),
      query('order_by', text, 'A field of group_by or one of aggregates; the largest first.'),
      ...page,
      explain,
    ],
    schema: refTo('SessionGroupPage'),
  },
  '/v1/sessions:history': {
    summary: 'What happened to devices: connections, refusals, takeovers, expiries.',
    parameters: [filter, query('oldest_first', flag, 'Else the newest are.'), ...page],
    schema: refTo('SessionEventPage'),
  },
  '/v1/sessions:watch': {
    summary:
      'Server-sent events: snapshot for each match, snapshot_end, then added, changed and removed.',
    parameters: [
      filter,
      fields,
      query('resume_from', text, 'The position behind the colon of the last id.'),
      {
        name: 'Last-Event-ID',
        in: 'header',
        description: 'As a browser sends it that lost the stream.',
        schema: text,
      },
    ],
    schema: text,
    type: 'text/event-stream',
  },
  '/v1/sessions/{client_id}': {
    summary: 'One session.',
    parameters: [clientId],
    schema: refTo('OneSession'),
  },
  '/v1/sessions/{client_id}:why': {
    summary: 'Why a device lost its connection, or is not there.',
    parameters: [clientId, query('at', text, 'A time, or now-2h; now when left out.')],
    schema: refTo('SessionStory'),
  },
  '/v1/edges': { summary: 'Every edge that was heard of.', schema: refTo('Edges') },
  '/v1/trunks': { summary: 'The link of every edge to this core.', schema: refTo('Trunks') },
  '/v1/trunks/{edge_id}': {
    summary: 'The link of one edge.',
    parameters: [inPath('edge_id', 'Percent-encoded.')],
    schema: refTo('OneTrunk'),
  },
  '/v1/where': {
    summary: 'How far a message has come.',
    parameters: [query('message_id', text, 'EDGE/LANE/SEQUENCE.')],
    schema: { type: 'object' },
  },
  '/v1/rules': { summary: 'The rules in force.', parameters: [name], schema: { type: 'object' } },
  '/v1/rules/versions': {
    summary: 'The last versions of the rules.',
    parameters: [name],
    schema: { type: 'object' },
  },
  '/v1/openapi.json': { summary: 'This document.', schema: { type: 'object' } },
};

const texts: Schema = { type: 'array', items: text };
const ruleChange = { name: text, expected_version: number, dry_run: flag, sample_topics: texts };

interface Change {
  readonly summary: string;
  readonly body: Schema;
}

const changes: Readonly<Record<string, Change>> = {
  '/v1/rules': {
    summary: 'Keeps a new version of the rules and sends it to the edges.',
    body: {
      ...object({
        ...ruleChange,
        comment: text,
        remove: flag,
        rules: { type: 'array', items: { type: 'object' } },
      }),
      required: ['rules'],
    },
  },
  '/v1/rules:rollback': {
    summary: 'Makes an earlier version a new one.',
    body: { ...object({ ...ruleChange, version: number }), required: ['version'] },
  },
  '/v1/core:drain': {
    summary: 'Sends the edges of this core to another one.',
    body: { ...object({ within_ms: number, address: text, undo: flag }), required: [] },
  },
};

const refused = {
  description: 'A code that stays the same, and a sentence.',
  content: { 'application/json': { schema: refTo('Error') } },
};

const document = {
  openapi: '3.1.0',
  info: {
    title: 'Trunkline, for operators',
    version: 'v1',
    description: 'New fields come with new versions: leave out of account what you do not know.',
  },
  paths: pathsOf(),
  components: { schemas, securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
  // Where `http.token` is set; else nothing is asked for.
  security: [{ token: [] }, {}],
};

export function openApiReply(): Reply {
  return jsonReply(document);
}

function pathsOf() {
  const paths = new Map<string, Record<string, unknown>>();
  for (const [
    path,
    { summary, parameters = [], schema, type = 'application/json' },
  ] of Object.entries(reads)) {
    const answered = { description: summary, content: { [type]: { schema } } };
    const responses = { 200: answered, default: refused };
    paths.set(path, { get: { summary, parameters, responses } });
  }
  for (const [path, { summary, body }] of Object.entries(changes)) {
    const answered = { description: summary, content: { 'application/json': {} } };
    const requestBody = { required: true, content: { 'application/json': { schema: body } } };
    const post = { summary, requestBody, responses: { 200: answered, default: refused } };
    paths.set(path, { ...paths.get(path), post });
  }
  return Object.fromEntries(paths);
}

function query(of: string, schema: Schema, description: string): Parameter {
  return { name: of, in: 'query', description, schema };
}

function inPath(of: string, description: string): Parameter {
  return { name: of, in: 'path', required: true, description, schema: text };
}
