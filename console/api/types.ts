/** What the core's HTTP interface answers; proto/trunkline/v1/{session,fleet}.proto as JSON. */

export interface Session {
  readonly client_id: string;
  readonly edge_id: string;
  readonly gateway_id: string;
  readonly state: 'connected' | 'kept';
  readonly protocol: string;
  readonly listener: string;
  readonly remote_address: string;
  readonly username: string;
  readonly clean_start: boolean;
  readonly keep_alive_seconds: number;
  readonly connected_at_ms: number;
  readonly disconnected_at_ms: number;
  readonly disconnect_reason: string;
  readonly subscriptions: readonly Subscription[];
  readonly subscription_count: number;
  readonly queue_messages: number;
  readonly inflight_messages: number;
  readonly received_messages: number;
  readonly delivered_messages: number;
  readonly dropped_messages: number;
  readonly region: string;
  readonly auth_method: string;
  readonly will_topic: string;
  readonly queue_bytes: number;
  readonly received_bytes: number;
  readonly sent_bytes: number;
  readonly received_rate: number;
  readonly delivered_rate: number;
  readonly round_trip_us: number;
  readonly keep_alive_margin_ms: number;
  readonly connection_count: number;
  readonly blocked_ms: number;
}

/** What happened to a client at its edge. */
export interface SessionEvent {
  readonly at_ms: number;
  readonly client_id: string;
  readonly kind: string;
  readonly reason: string;
  readonly by: string;
  readonly edge_id: string;
  readonly gateway_id: string;
  readonly remote_address: string;
  readonly connected_ms: number;
}

export interface SessionEventPage {
  readonly events: readonly SessionEvent[];
  readonly kept_since_ms: number;
}

export interface SessionStory {
  readonly answer: string;
}

export interface Subscription {
  readonly filter: string;
  readonly qos: number;
}

export interface SessionPage {
  readonly sessions: readonly Session[];
  readonly next_page_token: string;
  readonly total_size: number;
  readonly as_of_ms: number;
  readonly complete: boolean;
  readonly silent_edges: readonly string[];
}

export interface Trunk {
  readonly edge_id: string;
  readonly connected: boolean;
  readonly round_trip_us: number;
  readonly backlog_messages: number;
  readonly oldest_unacked_ms: number;
  /** 0: the edge sends no canaries. */
  readonly proof_age_ms: number;
  readonly up_rate: number;
  readonly down_rate: number;
  readonly credit_bytes: number;
  readonly rules_version: number;
  /** 0: not known. */
  readonly empty_in_seconds: number;
  readonly lanes: readonly TrunkLane[];
  /** Those that the edge knows, the one in use first. */
  readonly cores: readonly TrunkCore[];
  readonly faults: readonly string[];
}

export interface TrunkCore {
  readonly address: string;
  readonly core_id: string;
  readonly region: string;
  readonly state: string;
  /** 0: not measured. */
  readonly round_trip_us: number;
}

export interface TrunkLane {
  readonly lane: number;
  readonly priority: 'high' | 'normal' | 'bulk';
  readonly backlog_messages: number;
  readonly oldest_unacked_ms: number;
  readonly proof_age_ms: number;
  readonly proof_overdue: boolean;
  readonly credit_bytes: number;
  readonly uplinked_messages: number;
  readonly downlinked_messages: number;
}

export interface Edge {
  readonly edge_id: string;
  readonly region: string;
  readonly connected: boolean;
  readonly software_version: string;
  readonly connected_at_ms: number;
  readonly last_heard_at_ms: number;
  readonly session_count: number;
  readonly connected_session_count: number;
  readonly interest_count: number;
  readonly received_messages: number;
  readonly delivered_messages: number;
  readonly dropped_messages: number;
  readonly uplinked_messages: number;
  readonly downlinked_messages: number;
  readonly backlog_messages: number;
  readonly spool_bytes: number;
  readonly received_rate: number;
  readonly delivered_rate: number;
  readonly round_trip_us: number;
}
