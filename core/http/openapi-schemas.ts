/**
 * What the answers of the operators' HTTP look like, as JSON Schema. Made from the very functions
 * that write the answers, given an empty one, and from the catalogues of fields, so that it cannot
 * fall behind them.
 */
import {
  Edge,
  ExplainSessionResponse,
  QueryExplain,
  Trunk,
} from '../../proto/gen/trunkline/v1/fleet.ts';
import { Session, SessionEvent } from '../../proto/gen/trunkline/v1/session.ts';
import { ForeignStats, LaneStats } from '../../proto/gen/trunkline/v1/trunk.ts';
import { eventCatalog } from '../history/event-fields.ts';
import type { FieldCatalog } from '../query/field.ts';
import { sessionCatalog } from '../sessions/session-fields.ts';
import { edgeJson, explainJson, sessionJson } from './session-json.ts';
import { eventJson } from './session-routes.ts';
import { trunkJson } from './trunk-json.ts';

export interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean';
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly enum?: readonly (string | null)[];
  readonly $ref?: string;
}

const nothing = new Uint8Array(0);

export const text: Schema = { type: 'string' };
export const number: Schema = { type: 'number' };
export const flag: Schema = { type: 'boolean' };
const texts: Schema = { type: 'array', items: text };
const subscriptions: Schema = {
  type: 'array',
  items: object({ filter: text, qos: number }),
};

/** All of these are there. */
export function object(properties: Readonly<Record<string, Schema>>): Schema {
  return { type: 'object', properties, required: Object.keys(properties) };
}

export function refTo(name: string): Schema {
  return { $ref: `#/components/schemas/${name}` };
}

function listOf(name: string): Schema {
  return { type: 'array', items: refTo(name) };
}

function orNull(name: string): Schema {
  return { oneOf: [refTo(name), { enum: [null] }] };
}

/** As the example is; what its fields mean is in the catalogue. */
function like(example: unknown, catalog: FieldCatalog | null = null): Schema {
  if (typeof example === 'string') return text;
  if (typeof example === 'number') return number;
  if (typeof example === 'boolean') return flag;
  if (Array.isArray(example)) {
    return { type: 'array', items: example.length === 0 ? text : like(example[0]) };
  }
  const entries = Object.entries(example as object).map(([name, value]) => {
    const about = catalog?.get(name)?.about;
    const schema = like(value);
    return [name, about === undefined ? schema : { ...schema, description: about }] as const;
  });
  return object(Object.fromEntries(entries));
}

const session = like(sessionJson(Session.decode(nothing)), sessionCatalog);

const completeness = {
  complete: { ...flag, description: 'Every edge that holds sessions reports now.' },
  silent_edges: { ...texts, description: 'Those that do not.' },
};

const pageEnd = {
  next_page_token: { ...text, description: 'Empty on the last page.' },
  as_of_ms: number,
  ...completeness,
};

/** Explained when asked for. */
function withExplain(schema: Schema): Schema {
  return { ...schema, properties: { ...schema.properties, explain: refTo('Explain') } };
}

const trunk = trunkJson({
  ...Trunk.decode(nothing),
  lanes: [LaneStats.decode(nothing)],
  foreign: [ForeignStats.decode(nothing)],
});

export const schemas: Readonly<Record<string, Schema>> = {
  Error: object({ error: object({ code: text, message: text }) }),
  // With `fields` no more than those come, so none but the first is sure.
  Session: {
    ...session,
    required: ['client_id'],
    properties: {
      ...session.properties,
      subscriptions,
      dropped: {
        type: 'object',
        description: 'Of `dropped_messages`, by reason.',
        additionalProperties: number,
      },
    },
  },
  Explain: like(explainJson(QueryExplain.decode(nothing))),
  SessionPage: withExplain(object({ sessions: listOf('Session'), total_size: number, ...pageEnd })),
  SessionGroup: object({
    keys: texts,
    count: number,
    values: { type: 'array', items: number },
  }),
  SessionGroupPage: withExplain(
    object({
      group_by: texts,
      aggregates: texts,
      groups: listOf('SessionGroup'),
      total_groups: number,
      total_size: number,
      ...pageEnd,
    }),
  ),
  SessionEvent: like(eventJson(SessionEvent.decode(nothing)), eventCatalog),
  SessionEventPage: object({ events: listOf('SessionEvent'), kept_since_ms: number, ...pageEnd }),
  SessionStory: object({
    ...(like(storyExample()).properties ?? {}),
    event: orNull('SessionEvent'),
    around: listOf('SessionEvent'),
    session: orNull('Session'),
    ...completeness,
  }),
  OneSession: object({ session: refTo('Session') }),
  Edge: like(edgeJson(Edge.decode(nothing))),
  Edges: object({ edges: listOf('Edge') }),
  Trunk: like(trunk),
  OneTrunk: object({ trunk: refTo('Trunk') }),
  Trunks: object({ trunks: listOf('Trunk') }),
};

function storyExample() {
  const { clientId, atMs, answer } = ExplainSessionResponse.decode(nothing);
  return { client_id: clientId, at_ms: atMs, answer };
}
