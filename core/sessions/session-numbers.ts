/** The fields of a session that are numbers: times, flags, spans, counts and rates. */
import { type Session, SessionState } from '../../proto/gen/trunkline/v1/session.ts';
import type { Field } from '../query/field.ts';

export interface NumberField extends Field {
  readonly read: (session: Session) => number;
}

/** Reasons that a delivery to one session can be dropped for; others count in the sum alone. */
export const dropReasons = [
  'queue-full',
  'slow-reader',
  'offline-qos0',
  'expired',
  'log-retention',
  'packet-too-large',
  'gateway-slow',
] as const;

export const timeFields: readonly NumberField[] = [
  {
    name: 'connected_at_ms',
    kind: 'time',
    aliases: ['connected_time', 'connected_at'],
    about: 'When the present or last connection began.',
    read: (session) => session.connectedAtMs,
  },
  {
    name: 'disconnected_at_ms',
    kind: 'time',
    aliases: ['disconnected_time', 'disconnected_at'],
    about: 'When the last connection ended; never for one that is connected.',
    read: (session) => session.disconnectedAtMs,
  },
  {
    name: 'queue_oldest_at_ms',
    kind: 'time',
    aliases: ['queue_oldest_time'],
    about: 'When the oldest message that waits was accepted.',
    read: (session) => session.queueOldestAtMs,
  },
  {
    name: 'updated_at_ms',
    kind: 'time',
    aliases: ['updated_time', 'updated_at'],
    about: 'When the core last heard of the session.',
    read: (session) => session.updatedAtMs,
  },
  {
    name: 'expires_at_ms',
    kind: 'time',
    isComputed: true,
    aliases: ['expires_time', 'expires_at'],
    about: 'When it ends, unless the device comes back; never for one that is connected.',
    read: expiryOf,
  },
];

export const countFields: readonly NumberField[] = [
  {
    name: 'clean_start',
    kind: 'flag',
    about: 'It ends with its connection.',
    read: (session) => Number(session.cleanStart),
  },
  {
    name: 'will_present',
    kind: 'flag',
    aliases: ['will'],
    about: 'It has a will.',
    read: (session) => Number(session.willPresent),
  },
  {
    name: 'keep_alive_seconds',
    kind: 'span',
    unitMs: 1_000,
    aliases: ['keep_alive'],
    about: 'Keep alive; 0 for none.',
    read: (session) => session.keepAliveSeconds,
  },
  {
    name: 'keep_alive_margin_ms',
    kind: 'span',
    unitMs: 1,
    isOptional: true,
    aliases: ['keep_alive_margin'],
    about: 'The least that was left of one and a half keep alives when the device was heard again.',
    read: (session) => session.keepAliveMarginMs,
  },
  {
    name: 'session_expiry_seconds',
    kind: 'span',
    unitMs: 1_000,
    aliases: ['session_expiry'],
    about: 'How long it is kept without a connection.',
    read: (session) => session.sessionExpirySeconds,
  },
  {
    name: 'will_retain',
    kind: 'flag',
    about: 'Its will is to be retained.',
    read: (session) => Number(session.willRetain),
  },
  {
    name: 'will_delay_seconds',
    kind: 'span',
    unitMs: 1_000,
    aliases: ['will_delay'],
    about: 'How long its will waits.',
    read: (session) => session.willDelaySeconds,
  },
  {
    name: 'blocked_ms',
    kind: 'span',
    unitMs: 1,
    aliases: ['blocked_for'],
    about: 'How long it has taken no bytes; 0 while it takes them.',
    read: (session) => session.blockedMs,
  },
  {
    name: 'round_trip_us',
    kind: 'span',
    unitMs: 0.001,
    isOptional: true,
    aliases: ['round_trip'],
    about: 'From a PUBLISH of QoS 1 to its PUBACK, the last one that was timed.',
    read: (session) => session.roundTripUs,
  },
  number('will_qos', 'QoS of its will.', 'willQos'),
  number('maximum_packet_bytes', 'The largest packet that it takes.', 'maximumPacketBytes'),
  number('topic_alias_maximum', 'Topic aliases that it keeps.', 'topicAliasMaximum'),
  number(
    'shared_subscription_count',
    'Of `subscription_count`, those that are shared.',
    'sharedSubscriptionCount',
    'shared_subscriptions',
  ),
  number(
    'receive_maximum',
    'Messages of QoS 1 and 2 that the device takes at once.',
    'receiveMaximum',
  ),
  number('subscription_count', 'Subscriptions.', 'subscriptionCount'),
  number('queue_messages', 'Messages that wait for it.', 'queueMessages', 'queue'),
  number('inflight_messages', 'Sent and not acknowledged.', 'inflightMessages', 'inflight'),
  number('queue_bytes', 'Of the messages that wait.', 'queueBytes'),
  number('unsent_bytes', 'Written to it and not taken.', 'unsentBytes'),
  number('unreleased_messages', 'QoS 2 from it that waits for PUBREL.', 'unreleasedMessages'),
  number(
    'connection_count',
    'Connections of this session since its edge was started.',
    'connectionCount',
    'connections',
  ),
  number('received_bytes', 'MQTT bytes of the present or last connection.', 'receivedBytes'),
  number('sent_bytes', 'The same to the device.', 'sentBytes'),
  number('received_messages', 'Taken from the device since it connected.', 'receivedMessages'),
  number('delivered_messages', 'Handed to it.', 'deliveredMessages'),
  number('dropped_messages', 'Dropped on the way to it.', 'droppedMessages'),
  number('received_rate', 'Messages a second from the device.', 'receivedRate'),
  number('delivered_rate', 'Messages a second to it.', 'deliveredRate'),
  number('dropped_rate', 'Messages dropped a second.', 'droppedRate'),
  number('received_byte_rate', 'Bytes a second from the device.', 'receivedByteRate'),
  number('sent_byte_rate', 'Bytes a second to it.', 'sentByteRate'),
];

export const dropFields: readonly NumberField[] = dropReasons.map((reason) => ({
  name: `dropped.${reason}`,
  kind: 'number',
  about: `Of \`dropped_messages\`, those dropped as \`${reason}\`.`,
  read: (session) => session.drops.find((drop) => drop.reason === reason)?.messages ?? 0,
}));

export const numberFields: readonly NumberField[] = [...timeFields, ...countFields, ...dropFields];

function expiryOf({ state, disconnectedAtMs, sessionExpirySeconds }: Session): number {
  if (state !== SessionState.KEPT || disconnectedAtMs === 0) return 0;
  return disconnectedAtMs + sessionExpirySeconds * 1_000;
}

type NumberKey = {
  [K in keyof Session]-?: Session[K] extends number ? K : never;
}[keyof Session];

function number(name: string, about: string, key: NumberKey, alias?: string): NumberField {
  const aliases = alias === undefined ? [] : [alias];
  return { name, kind: 'number', aliases, about, read: (session) => session[key] as number };
}
