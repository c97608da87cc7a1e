/** Answers about the trunk as JSON: names as in the proto, stages and states as words. */
import type {
  LocatedEdge,
  LocatePublicationResponse,
  Trunk,
} from '../../proto/gen/trunkline/v1/fleet.ts';
import {
  LocatePublicationResponse_Stage as Stage,
  LocatedEdge_State as State,
} from '../../proto/gen/trunkline/v1/fleet.ts';
import {
  type CoreStats,
  CoreStats_State,
  type ForeignStats,
  type LaneStats,
  Rule_Priority,
} from '../../proto/gen/trunkline/v1/trunk.ts';
import type { FleetEngine } from '../fleet/fleet-engine.ts';
import { jsonReply, type Reply } from './reply.ts';
import { parametersOf, percentDecoded, type RequestTarget } from './request-target.ts';

export type TrunkJson = ReturnType<typeof trunkJson>;
export type CoreJson = ReturnType<typeof coreJson>;
export type LaneJson = ReturnType<typeof laneJson>;
export type WhereJson = ReturnType<typeof whereJson>;

const priorities = new Map<Rule_Priority, string>([
  [Rule_Priority.HIGH, 'high'],
  [Rule_Priority.NORMAL, 'normal'],
  [Rule_Priority.BULK, 'bulk'],
]);

const stages = new Map<Stage, string>([
  [Stage.UNKNOWN, 'unknown'],
  [Stage.SPOOLED, 'spooled'],
  [Stage.SENT, 'sent'],
  [Stage.ACKNOWLEDGED, 'acknowledged'],
  [Stage.LOGGED, 'logged'],
  [Stage.UNREACHABLE, 'unreachable'],
]);

const states = new Map<State, string>([
  [State.WAITING, 'waiting'],
  [State.SENT, 'sent'],
  [State.ACKNOWLEDGED, 'acknowledged'],
  [State.NOT_WANTED, 'not-wanted'],
  [State.AWAY, 'away'],
  [State.ORIGIN, 'origin'],
]);

const coreStates = new Map<CoreStats_State, string>([
  [CoreStats_State.UNKNOWN, 'unknown'],
  [CoreStats_State.SERVING, 'serving'],
  [CoreStats_State.DRAINING, 'draining'],
  [CoreStats_State.UNREACHABLE, 'unreachable'],
]);

export function trunksReply({ query }: RequestTarget, fleet: FleetEngine): Reply {
  parametersOf(query, []);
  return jsonReply({ trunks: fleet.trunks.trunks().map(trunkJson) });
}

export function trunkReply({ path, query }: RequestTarget, fleet: FleetEngine): Reply {
  parametersOf(query, []);
  const edgeId = percentDecoded(path.slice('/v1/trunks/'.length));
  return jsonReply({ trunk: trunkJson(fleet.trunks.trunk(edgeId)) });
}

export async function whereReply({ query }: RequestTarget, fleet: FleetEngine): Promise<Reply> {
  const given = parametersOf(query, ['message_id']);
  return jsonReply(whereJson(await fleet.trunks.locate(given.get('message_id') ?? '')));
}

export function trunkJson(trunk: Trunk) {
  return {
    edge_id: trunk.edgeId,
    region: trunk.region,
    connected: trunk.connected,
    core_id: trunk.coreId,
    connected_at_ms: trunk.connectedAtMs,
    last_heard_at_ms: trunk.lastHeardAtMs,
    software_version: trunk.softwareVersion,
    round_trip_us: trunk.roundTripUs,
    backlog_messages: trunk.backlogMessages,
    oldest_unacked_ms: trunk.oldestUnackedMs,
    proof_age_ms: trunk.proofAgeMs,
    uplinked_messages: trunk.uplinkedMessages,
    downlinked_messages: trunk.downlinkedMessages,
    up_rate: trunk.upRate,
    down_rate: trunk.downRate,
    credit_bytes: trunk.creditBytes,
    spool_bytes: trunk.spoolBytes,
    rules_version: trunk.rulesVersion,
    empty_in_seconds: trunk.emptyInSeconds,
    lanes: trunk.lanes.map(laneJson),
    foreign: trunk.foreign.map(foreignJson),
    cores: trunk.cores.map(coreJson),
    faults: trunk.faults,
  };
}

function laneJson(lane: LaneStats) {
  return {
    lane: lane.lane,
    priority: priorities.get(lane.priority) ?? 'normal',
    backlog_messages: lane.backlogMessages,
    oldest_unacked_ms: lane.oldestUnackedMs,
    proof_age_ms: lane.proofAgeMs,
    proof_overdue: lane.proofOverdue,
    credit_bytes: lane.creditBytes,
    uplinked_messages: lane.uplinkedMessages,
    downlinked_messages: lane.downlinkedMessages,
  };
}

function coreJson(core: CoreStats) {
  return {
    address: core.address,
    core_id: core.coreId,
    region: core.region,
    state: coreStates.get(core.state) ?? 'unknown',
    round_trip_us: core.roundTripUs,
    edges: core.edges,
  };
}

function foreignJson(foreign: ForeignStats) {
  return {
    name: foreign.name,
    connected: foreign.connected,
    sent_messages: foreign.sentMessages,
    received_messages: foreign.receivedMessages,
    backlog_messages: foreign.backlogMessages,
    reason: foreign.reason,
  };
}

export function whereJson(found: LocatePublicationResponse) {
  return {
    message_id: found.messageId,
    stage: stages.get(found.stage) ?? 'unknown',
    topic: found.topic,
    accepted_at_ms: found.acceptedAtMs,
    log_lane: found.logLane,
    log_position: found.logPosition,
    logged_at_ms: found.loggedAtMs,
    edges: found.edges.map(({ edgeId, state }: LocatedEdge) => {
      return { edge_id: edgeId, state: states.get(state) ?? 'away' };
    }),
  };
}
