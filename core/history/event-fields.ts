/** The fields of what happened to sessions: what a query of the history may name. */
import type { SessionEvent } from '../../proto/gen/trunkline/v1/session.ts';
import { type Field, FieldCatalog } from '../query/field.ts';

export interface EventField extends Field {
  /** Of the table. */
  readonly column: string;
  readonly key: keyof SessionEvent & string;
}

export const eventKinds = [
  'connected',
  'disconnected',
  'taken-over',
  'refused',
  'expired',
] as const;

export const eventFields: readonly EventField[] = [
  {
    name: 'at_ms',
    column: 'at_ms',
    key: 'atMs',
    kind: 'time',
    aliases: ['time', 'at'],
    about: 'When it happened.',
  },
  {
    name: 'client_id',
    column: 'client_id',
    key: 'clientId',
    kind: 'text',
    isSearched: true,
    about: 'Client identifier.',
  },
  {
    name: 'kind',
    column: 'kind',
    key: 'kind',
    kind: 'word',
    words: eventKinds,
    about: '`connected`, `disconnected`, `taken-over`, `refused` or `expired`.',
  },
  {
    name: 'reason',
    column: 'reason',
    key: 'reason',
    kind: 'text',
    isSearched: true,
    about: 'Why, such as `keep-alive-timeout` or `credentials`.',
  },
  {
    name: 'by',
    column: 'by_whom',
    key: 'by',
    kind: 'word',
    words: ['device', 'edge', 'network', 'takeover', 'operator'],
    about: 'Who ended it.',
  },
  {
    name: 'edge_id',
    column: 'edge_id',
    key: 'edgeId',
    kind: 'text',
    aliases: ['edge'],
    isSearched: true,
    about: 'Where it happened.',
  },
  {
    name: 'gateway_id',
    column: 'gateway_id',
    key: 'gatewayId',
    kind: 'text',
    aliases: ['gateway'],
    isSearched: true,
    about: 'The gateway that the device is behind.',
  },
  {
    name: 'region',
    column: 'region',
    key: 'region',
    kind: 'text',
    isSearched: true,
    about: 'Where the edge stands.',
  },
  {
    name: 'listener',
    column: 'listener',
    key: 'listener',
    kind: 'text',
    about: 'As of a session.',
  },
  {
    name: 'protocol',
    column: 'protocol',
    key: 'protocol',
    kind: 'text',
    about: 'As of a session.',
  },
  {
    name: 'remote_address',
    column: 'remote_address',
    key: 'remoteAddress',
    kind: 'text',
    aliases: ['address'],
    isSearched: true,
    about: 'Address and port of the device.',
  },
  {
    name: 'username',
    column: 'username',
    key: 'username',
    kind: 'text',
    isSearched: true,
    about: 'Who it said it was.',
  },
  {
    name: 'connected_ms',
    column: 'connected_ms',
    key: 'connectedMs',
    kind: 'span',
    unitMs: 1,
    aliases: ['connected_for'],
    isOptional: true,
    about: 'How long the connection had lasted.',
  },
];

export const eventCatalog = new FieldCatalog(eventFields);

const columns = new Map(eventFields.map(({ name, column }) => [name, column]));

export function columnOf({ name }: Field): string {
  return columns.get(name) as string;
}
