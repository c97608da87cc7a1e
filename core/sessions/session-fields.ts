/**
 * The fields of a session: what a query may name, and where each comes from. Names are those of the
 * JSON; a time is also called `…_time`, and how long ago it was `…_for`.
 */
import { type Session, SessionState } from '../../proto/gen/trunkline/v1/session.ts';
import { type Field, FieldCatalog } from '../query/field.ts';
import { countFields, dropFields, timeFields } from './session-numbers.ts';

export interface TextField extends Field {
  readonly read: (session: Session) => string;
}

export const textFields: readonly TextField[] = [
  {
    name: 'client_id',
    kind: 'text',
    isSearched: true,
    about: 'Client identifier.',
    read: (session) => session.clientId,
  },
  {
    name: 'edge_id',
    kind: 'text',
    aliases: ['edge'],
    isSearched: true,
    about: 'The edge that holds it, or the core for a device behind a gateway.',
    read: (session) => session.edgeId,
  },
  {
    name: 'gateway_id',
    kind: 'text',
    aliases: ['gateway'],
    isSearched: true,
    about: 'The gateway that it is behind; empty for none.',
    read: (session) => session.gatewayId,
  },
  {
    name: 'region',
    kind: 'text',
    isSearched: true,
    about: 'Where its edge stands.',
    read: (session) => session.region,
  },
  {
    name: 'state',
    kind: 'word',
    words: ['connected', 'kept'],
    about: '`connected`, or `kept` without a connection.',
    read: (session) => stateName(session.state),
  },
  {
    name: 'protocol',
    kind: 'word',
    words: ['3.1', '3.1.1', '5', 'grpc'],
    about: '`3.1`, `3.1.1`, `5`, or `grpc` behind a gateway.',
    read: (session) => session.protocol,
  },
  {
    name: 'listener',
    kind: 'word',
    words: [],
    about: '`mqtt`, `mqtts`, `ws`, `wss` or `gateway`.',
    read: (session) => session.listener,
  },
  {
    name: 'remote_address',
    kind: 'text',
    aliases: ['address'],
    isSearched: true,
    about: 'Address and port of the device, as the listener sees them.',
    read: (session) => session.remoteAddress,
  },
  {
    name: 'username',
    kind: 'text',
    isSearched: true,
    about: 'Who it authenticated as.',
    read: (session) => session.username,
  },
  {
    name: 'disconnect_reason',
    kind: 'text',
    aliases: ['reason'],
    about: 'Why the last connection ended, such as `keep-alive-timeout`.',
    read: (session) => session.disconnectReason,
  },
  {
    name: 'disconnected_by',
    kind: 'word',
    words: ['device', 'edge', 'network', 'takeover', 'operator'],
    about: 'Who ended it: `device`, `edge`, `network`, `takeover` or `operator`.',
    read: (session) => session.disconnectedBy,
  },
  {
    name: 'remote_ip',
    kind: 'text',
    isComputed: true,
    aliases: ['ip'],
    about: 'Of `remote_address`, without the port.',
    read: (session) => ipOf(session.remoteAddress),
  },
  {
    name: 'auth_method',
    kind: 'word',
    words: ['password', 'enhanced', 'gateway', 'internal', 'none'],
    about:
      'How it showed who it is: `password`, `enhanced`, `gateway`, `internal`, or `none` where nobody is asked.',
    read: (session) => session.authMethod,
  },
  {
    name: 'will_topic',
    kind: 'text',
    about: 'Where its will goes.',
    read: (session) => session.willTopic,
  },
];

const ages: readonly Field[] = [
  {
    name: 'connected_for',
    kind: 'age',
    of: 'connected_at_ms',
    about: 'How long ago the present or last connection began.',
  },
  {
    name: 'disconnected_for',
    kind: 'age',
    of: 'disconnected_at_ms',
    about: 'How long ago the last connection ended.',
  },
  {
    name: 'queue_age',
    kind: 'age',
    of: 'queue_oldest_at_ms',
    about: 'How long the oldest message has waited.',
  },
];

export const subscriptionsField: Field = {
  name: 'subscriptions',
  kind: 'list',
  aliases: ['subscription'],
  about: 'Its filters, the first 100 of them.',
};

export const sessionCatalog = new FieldCatalog([
  ...textFields,
  ...timeFields,
  ...ages,
  ...countFields,
  ...dropFields,
  subscriptionsField,
]);

/** "connected", "kept", or empty for a session that has no known state. */
export function stateName(state: SessionState): string {
  switch (state) {
    case SessionState.CONNECTED:
      return 'connected';
    case SessionState.KEPT:
      return 'kept';
    default:
      return '';
  }
}

export function stateOf(name: string): SessionState {
  if (name === '') return SessionState.UNSPECIFIED;
  return name === 'kept' ? SessionState.KEPT : SessionState.CONNECTED;
}

/** Without the port; as it is when there is none. */
function ipOf(address: string): string {
  const colon = address.lastIndexOf(':');
  return colon < 0 ? address : address.slice(0, colon);
}
