/**
 * Fleet answers as JSON: names as in the proto, times as whole milliseconds since the epoch, the
 * state as a word. The one place where field names of the HTTP API are written.
 */
import type {
  Edge,
  ListSessionsResponse,
  WatchSessionsResponse,
} from '../../proto/gen/trunkline/v1/fleet.ts';
import type { Session } from '../../proto/gen/trunkline/v1/session.ts';
import { stateName } from '../sessions/session-filter.ts';

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
}

export interface SessionPageJson {
  readonly sessions: readonly SessionJson[];
  readonly next_page_token: string;
  readonly total_size: number;
  readonly as_of_ms: number;
  readonly complete: boolean;
  readonly silent_edges: readonly string[];
}

/** The event's name, its number in the stream, and its data. */
export interface WatchEventJson {
  readonly event: 'snapshot' | 'snapshot_end' | 'added' | 'changed' | 'removed';
  readonly sequence: number;
  readonly data: SessionJson | { readonly session_count: number };
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
  };
}

export function sessionPageJson(page: ListSessionsResponse): SessionPageJson {
  return {
    sessions: page.sessions.map(sessionJson),
    next_page_token: page.nextPageToken,
    total_size: page.totalSize,
    as_of_ms: page.asOfMs,
    complete: page.complete,
    silent_edges: page.silentEdges,
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
export function watchEventJson({ sequence, change }: WatchSessionsResponse): WatchEventJson | null {
  if (change === undefined) return null;
  if (change.$case === 'snapshotEnd') {
    const data = { session_count: change.value.sessionCount };
    return { event: 'snapshot_end', sequence, data };
  }
  return { event: change.$case, sequence, data: sessionJson(change.value) };
}
