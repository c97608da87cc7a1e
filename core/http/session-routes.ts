/** What HTTP answers of sessions: pages, groups, what happened, and why. */
import { TrunklineError } from '../../base/errors.ts';
import type { SessionEvent } from '../../proto/gen/trunkline/v1/session.ts';
import { parseFields } from '../fleet/field-mask.ts';
import type { FleetEngine } from '../fleet/fleet-engine.ts';
import { momentMs } from '../query/literals.ts';
import { jsonReply, type Reply } from './reply.ts';
import { parametersOf, percentDecoded, type RequestTarget, wholeNumber } from './request-target.ts';
import { explainJson, sessionJson, sessionPageJson } from './session-json.ts';

const pageParameters = ['page_size', 'page_token', 'filter', 'order_by', 'explain'];

export async function sessionsReply(query: string, fleet: FleetEngine): Promise<Reply> {
  const given = parametersOf(query, [...pageParameters, 'fields']);
  const fields = listOf(given.get('fields'));
  const mask = parseFields(fields);
  // The mask takes away what is not wanted of the JSON.
  const page = await fleet.list({ ...pageOf(given), fields: [] });
  return jsonReply(sessionPageJson(page, mask));
}

export async function groupsReply(query: string, fleet: FleetEngine): Promise<Reply> {
  const given = parametersOf(query, [...pageParameters, 'group_by', 'aggregates']);
  const groupBy = listOf(given.get('group_by'));
  const aggregates = listOf(given.get('aggregates'));
  const page = await fleet.group({ ...pageOf(given), groupBy, aggregates });
  return jsonReply({
    group_by: groupBy,
    aggregates,
    groups: page.groups,
    next_page_token: page.nextPageToken,
    total_groups: page.totalGroups,
    total_size: page.totalSize,
    as_of_ms: page.asOfMs,
    complete: page.complete,
    silent_edges: page.silentEdges,
    ...(page.explain === undefined ? {} : { explain: explainJson(page.explain) }),
  });
}

export async function historyReply(query: string, fleet: FleetEngine): Promise<Reply> {
  const given = parametersOf(query, ['page_size', 'page_token', 'filter', 'oldest_first']);
  const page = await fleet.events({
    pageSize: wholeNumber('page_size', given.get('page_size') ?? ''),
    pageToken: given.get('page_token') ?? '',
    filter: given.get('filter') ?? '',
    oldestFirst: flag('oldest_first', given.get('oldest_first')),
  });
  return jsonReply({
    events: page.events.map(eventJson),
    next_page_token: page.nextPageToken,
    kept_since_ms: page.keptSinceMs,
    as_of_ms: page.asOfMs,
    complete: page.complete,
    silent_edges: page.silentEdges,
  });
}

export async function sessionReply(
  { path, query }: RequestTarget,
  fleet: FleetEngine,
): Promise<Reply> {
  const name = path.slice('/v1/sessions/'.length);
  if (name.endsWith(':why')) return whyReply(percentDecoded(name.slice(0, -4)), query, fleet);
  parametersOf(query, []);
  return jsonReply({ session: sessionJson(fleet.get(percentDecoded(name))) });
}

async function whyReply(clientId: string, query: string, fleet: FleetEngine): Promise<Reply> {
  const text = parametersOf(query, ['at']).get('at') ?? '';
  const atMs = text === '' ? 0 : momentMs(text, Date.now());
  if (atMs === null) {
    const given = JSON.stringify(text.slice(0, 64));
    const form = 'a time such as 2026-01-31T03:12:00Z or now-5m';
    throw new TrunklineError('query-invalid', `at is ${given}; give ${form}.`);
  }
  const story = await fleet.explain({ clientId, atMs });
  return jsonReply({
    client_id: story.clientId,
    at_ms: story.atMs,
    answer: story.answer,
    event: story.event === undefined ? null : eventJson(story.event),
    around: story.around.map(eventJson),
    session: story.session === undefined ? null : sessionJson(story.session),
    complete: story.complete,
    silent_edges: story.silentEdges,
  });
}

export function eventJson(event: SessionEvent) {
  return {
    at_ms: event.atMs,
    client_id: event.clientId,
    kind: event.kind,
    reason: event.reason,
    by: event.by,
    edge_id: event.edgeId,
    gateway_id: event.gatewayId,
    region: event.region,
    listener: event.listener,
    protocol: event.protocol,
    remote_address: event.remoteAddress,
    username: event.username,
    connected_ms: event.connectedMs,
  };
}

export type EventJson = ReturnType<typeof eventJson>;

/** Names joined by commas. */
export function listOf(text = ''): string[] {
  return text === '' ? [] : text.split(',').map((name) => name.trim());
}

function pageOf(given: ReadonlyMap<string, string>) {
  return {
    pageSize: wholeNumber('page_size', given.get('page_size') ?? ''),
    pageToken: given.get('page_token') ?? '',
    filter: given.get('filter') ?? '',
    orderBy: given.get('order_by') ?? '',
    explain: flag('explain', given.get('explain')),
  };
}

function flag(name: string, text = ''): boolean {
  if (text === '' || text === 'false') return false;
  if (text === 'true') return true;
  const given = JSON.stringify(text.slice(0, 64));
  throw new TrunklineError('query-invalid', `${name} is ${given}; give true or false.`);
}
