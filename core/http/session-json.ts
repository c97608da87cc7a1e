/**
 * Fleet answers as JSON: names as in the proto, times as whole milliseconds since the epoch, the
 * state as a word. The one place where field names of the HTTP API are written.
 */
import type {
  Edge,
  ListSessionsResponse,
  QueryExplain,
  WatchSessionsResponse,
} from '../../proto/gen/trunkline/v1/fleet.ts';
import type { Session } from '../../proto/gen/trunkline/v1/session.ts';
import type { FieldMask } from '../fleet/field-mask.ts';
import { stateName } from '../sessions/session-fields.ts';

export interface SessionJson {
  readonly client_id: string;
  readonly edge_id: string;
  readonly gateway_id: string;
  /** "connected" or "kept". */
  readonly state: string;
  readonly protocol: string;
  readonly listener: string;
  readonly remote_address: string;
  readonly username: string;
  readonly clean_start: boolean;
  readonly keep_alive_seconds: number;
  readonly connected_at_ms: number;
  readonly disconnected_at_ms: number;
  readonly disconnect_reason: string;
  readonly subscriptions: readonly { readonly filter: string; readonly qos: number }[];
  readonly subscription_count: number;
  readonly queue_messages: number;
  readonly inflight_messages: number;
  readonly received_messages: number;
  readonly delivered_messages: number;
  readonly dropped_messages: number;
  readonly region: string;
  readonly session_expiry_seconds: number;
  readonly will_present: boolean;
  readonly receive_maximum: number;
  /** "device", "edge", "network", "takeover", "operator", or empty. */
  readonly disconnected_by: string;
  readonly queue_oldest_at_ms: number;
  readonly received_rate: number;
  readonly delivered_rate: number;
  readonly keep_alive_margin_ms: number;
  /** Of `dropped_messages`, by reason. */
  readonly dropped: Readonly<Record<string, number>>;
  readonly updated_at_ms: number;
  readonly auth_method: string;
  readonly will_topic: string;
  readonly will_qos: number;
  readonly will_retain: boolean;
  readonly will_delay_seconds: number;
  readonly maximum_packet_bytes: number;
  readonly topic_alias_maximum: number;
  readonly shared_subscription_count: number;
  readonly received_bytes: number;
  readonly sent_bytes: number;
  readonly queue_bytes: number;
  readonly unsent_bytes: number;
  readonly blocked_ms: number;
  readonly unreleased_messages: number;
  readonly connection_count: number;
  readonly round_trip_us: number;
  readonly received_byte_rate: number;
  readonly sent_byte_rate: number;
  readonly dropped_rate: number;
}

export interface ExplainJson {
  readonly plan: string;
  readonly order: string;
  readonly examined: number;
  readonly matched: number;
  readonly duration_us: number;
  readonly slices: number;
}

export interface SessionPageJson {
  readonly sessions: readonly SessionJson[];
  readonly next_page_token: string;
  readonly total_size: number;
  readonly as_of_ms: number;
  readonly complete: boolean;
  readonly silent_edges: readonly string[];
  readonly explain?: ExplainJson;
}

/** The event's name, its number in the stream, and its data. */
export interface WatchEventJson {
  readonly event: 'snapshot' | 'snapshot_end' | 'added' | 'changed' | 'removed';
  readonly sequence: number;
  /** Where to take the watch up again; empty within what comes first. */
  readonly position: string;
  readonly data: Partial<SessionJson> | { readonly session_count: number };
}

export function sessionJson(session: Session): SessionJson {
  return {
    client_id: session.clientId,
    edge_id: session.edgeId,
    gateway_id: session.gatewayId,
    state: stateName(session.state),
    protocol: session.protocol,
    listener: session.listener,
    remote_address: session.remoteAddress,
    username: session.username,
    clean_start: session.cleanStart,
    keep_alive_seconds: session.keepAliveSeconds,
    connected_at_ms: session.connectedAtMs,
    disconnected_at_ms: session.disconnectedAtMs,
    disconnect_reason: session.disconnectReason,
    subscriptions: session.subscriptions.map(({ filter, qos }) => ({ filter, qos })),
    subscription_count: session.subscriptionCount,
    queue_messages: session.queueMessages,
    inflight_messages: session.inflightMessages,
    received_messages: session.receivedMessages,
    delivered_messages: session.deliveredMessages,
    dropped_messages: session.droppedMessages,
    region: session.region,
    session_expiry_seconds: session.sessionExpirySeconds,
    will_present: session.willPresent,
    receive_maximum: session.receiveMaximum,
    disconnected_by: session.disconnectedBy,
    queue_oldest_at_ms: session.queueOldestAtMs,
    received_rate: session.receivedRate,
    delivered_rate: session.deliveredRate,
    keep_alive_margin_ms: session.keepAliveMarginMs,
    dropped: Object.fromEntries(session.drops.map(({ reason, messages }) => [reason, messages])),
    updated_at_ms: session.updatedAtMs,
    auth_method: session.authMethod,
    will_topic: session.willTopic,
    will_qos: session.willQos,
    will_retain: session.willRetain,
    will_delay_seconds: session.willDelaySeconds,
    maximum_packet_bytes: session.maximumPacketBytes,
    topic_alias_maximum: session.topicAliasMaximum,
    shared_subscription_count: session.sharedSubscriptionCount,
    received_bytes: session.receivedBytes,
    sent_bytes: session.sentBytes,
    queue_bytes: session.queueBytes,
    unsent_bytes: session.unsentBytes,
    blocked_ms: session.blockedMs,
    unreleased_messages: session.unreleasedMessages,
    connection_count: session.connectionCount,
    round_trip_us: session.roundTripUs,
    received_byte_rate: session.receivedByteRate,
    sent_byte_rate: session.sentByteRate,
    dropped_rate: session.droppedRate,
  };
}

/** Nothing but the wanted fields. */
export function maskedJson(session: Session, mask: FieldMask): Partial<SessionJson> {
  const json = sessionJson(session);
  if (mask === null) return json;
  return Object.fromEntries(Object.entries(json).filter(([name]) => mask.has(name)));
}

export function explainJson({ durationUs, ...explain }: QueryExplain): ExplainJson {
  const { plan, order, examined, matched, slices } = explain;
  return { plan, order, examined, matched, duration_us: durationUs, slices };
}

export function sessionPageJson(page: ListSessionsResponse, mask: FieldMask) {
  return {
    sessions: page.sessions.map((session) => maskedJson(session, mask)),
    next_page_token: page.nextPageToken,
    total_size: page.totalSize,
    as_of_ms: page.asOfMs,
    complete: page.complete,
    silent_edges: page.silentEdges,
    ...(page.explain === undefined ? {} : { explain: explainJson(page.explain) }),
  };
}

export function edgeJson(edge: Edge) {
  return {
    edge_id: edge.edgeId,
    region: edge.region,
    connected: edge.connected,
    software_version: edge.softwareVersion,
    connected_at_ms: edge.connectedAtMs,
    last_heard_at_ms: edge.lastHeardAtMs,
    session_count: edge.sessionCount,
    connected_session_count: edge.connectedSessionCount,
    interest_count: edge.interestCount,
    received_messages: edge.receivedMessages,
    delivered_messages: edge.deliveredMessages,
    dropped_messages: edge.droppedMessages,
    uplinked_messages: edge.uplinkedMessages,
    downlinked_messages: edge.downlinkedMessages,
    backlog_messages: edge.backlogMessages,
    spool_bytes: edge.spoolBytes,
    received_rate: edge.receivedRate,
    delivered_rate: edge.deliveredRate,
    round_trip_us: edge.roundTripUs,
  };
}

/** Null for an event that says nothing. */
export function watchEventJson(
  { sequence, position, change }: WatchSessionsResponse,
  mask: FieldMask,
): WatchEventJson | null {
  if (change === undefined) return null;
  if (change.$case === 'snapshotEnd') {
    const data = { session_count: change.value.sessionCount };
    return { event: 'snapshot_end', sequence, position, data };
  }
  return { event: change.$case, sequence, position, data: maskedJson(change.value, mask) };
}
