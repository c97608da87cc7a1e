/** Why a device lost its connection, or is not there: the event that says it, in a sentence. */
import { TrunklineError } from '../../base/errors.ts';
import type {
  ExplainSessionRequest,
  ExplainSessionResponse,
} from '../../proto/gen/trunkline/v1/fleet.ts';
import {
  type Session,
  type SessionEvent,
  SessionState,
} from '../../proto/gen/trunkline/v1/session.ts';
import type { SessionHistory } from './session-history.ts';

/** People name minutes: what happened within the one that is named is meant. */
const minuteMs = 60_000;

const beforeMax = 10;
const afterMax = 5;

/** In words; a reason that is not here speaks for itself. */
const reasons = new Map([
  ['keep-alive-timeout', 'nothing came from it within one and a half keep alives'],
  ['disconnected', 'it said DISCONNECT'],
  ['disconnected-with-will', 'it said DISCONNECT and left its will in force'],
  ['closed-by-client', 'its connection was closed from its side without DISCONNECT'],
  ['socket-error', 'the network broke its connection'],
  ['taken-over', 'another connection came with the same client identifier'],
  ['slow-reader', 'it did not read what was sent to it'],
  ['malformed', 'it sent bytes that are not MQTT'],
  ['protocol-error', 'it broke the protocol'],
  ['packet-too-large', 'it sent a packet that is too large'],
  ['not-authorized', 'it did what it has no right to'],
  ['authentication-failed', 'its authentication failed'],
  ['credentials', 'its user name or password is wrong'],
  ['receive-maximum-exceeded', 'it sent more at once than it was allowed to'],
  ['quota-exceeded', 'it used more than its share'],
  ['overloaded', 'the edge has no room for more connections'],
  ['shutting-down', 'its edge was stopped'],
  ['edge-restarted', 'its edge was started anew'],
  ['gateway-closed', 'its gateway closed it'],
  ['session-expired', 'it stayed away for longer than its session is kept'],
]);

const actors = new Map([
  ['device', 'the device'],
  ['edge', 'the edge'],
  ['network', 'the network'],
  ['takeover', 'a takeover'],
  ['operator', 'an operator'],
]);

export interface StoryParts {
  readonly history: SessionHistory;
  readonly session: Session | undefined;
  readonly now: number;
}

/** Throws `query-invalid`. */
export async function explainSession(
  { clientId, atMs: asked }: ExplainSessionRequest,
  { history, session, now }: StoryParts,
): Promise<Omit<ExplainSessionResponse, 'complete' | 'silentEdges'>> {
  if (clientId === '') throw new TrunklineError('query-invalid', 'client_id is empty; give one.');
  const atMs = asked === 0 ? now : asked;
  const filter = `client_id = ${quoted(clientId)}`;
  // Whatever the clock of its edge says, what has happened is past.
  const until = asked === 0 ? Number.MAX_SAFE_INTEGER : atMs + minuteMs;
  const common = { pageToken: '', oldestFirst: false };
  const past = await history.list({
    ...common,
    pageSize: beforeMax,
    filter: `${filter} AND at_ms < ${until}`,
  });
  const later = await history.list({
    ...common,
    pageSize: afterMax,
    oldestFirst: true,
    filter: `${filter} AND at_ms >= ${until}`,
  });
  const around = [...past.events.reverse(), ...later.events];
  const end = around.findLast((one) => one.kind !== 'connected' && one.atMs < until);
  return {
    clientId,
    atMs,
    answer: answerOf({ clientId, atMs, keptSinceMs: past.keptSinceMs }, { around, end, session }),
    event: end,
    around,
    session,
  };
}

function answerOf(
  { clientId, atMs, keptSinceMs }: { clientId: string; atMs: number; keptSinceMs: number },
  {
    around,
    end,
    session,
  }: {
    around: readonly SessionEvent[];
    end: SessionEvent | undefined;
    session: Session | undefined;
  },
): string {
  const name = JSON.stringify(clientId);
  const now = presentOf(session);
  if (end === undefined) {
    const since = keptSinceMs === 0 ? 'nothing is kept' : `kept since ${timeOf(keptSinceMs)}`;
    const what = `No connection of ${name} is known to have ended up to ${timeOf(atMs)} (${since}).`;
    return `${what} ${now}`;
  }
  const back = around.find((one) => one.kind === 'connected' && one.atMs >= end.atMs);
  const sentences = [`${name} ${whatOf(end)} at ${timeOf(end.atMs)}: ${whyOf(end)}.`];
  if (back !== undefined) {
    const where = back.edgeId === end.edgeId ? '' : ` at ${back.edgeId}`;
    const from = back.remoteAddress === '' ? '' : ` from ${back.remoteAddress}`;
    sentences.push(`It came back ${spanOf(back.atMs - end.atMs)} later${where}${from}.`);
  }
  return [...sentences, now].join(' ');
}

function whatOf({ kind, edgeId, connectedMs }: SessionEvent): string {
  const lasted = connectedMs > 0 ? ` after ${spanOf(connectedMs)}` : '';
  switch (kind) {
    case 'refused':
      return `was refused by ${edgeId}`;
    case 'expired':
      return `ceased to have a session at ${edgeId}`;
    default:
      return `lost its connection to ${edgeId}${lasted}`;
  }
}

function whyOf({ reason, by }: SessionEvent): string {
  const words = reasons.get(reason);
  const actor = actors.get(by);
  const ended = actor === undefined ? '' : `; ended by ${actor}`;
  return words === undefined ? `${reason}${ended}` : `${words} (${reason}${ended})`;
}

function presentOf(session: Session | undefined): string {
  if (session === undefined) return 'It has no session now.';
  const { state, edgeId, connectedAtMs, disconnectedAtMs, queueMessages } = session;
  return state === SessionState.CONNECTED
    ? `It is connected to ${edgeId} since ${timeOf(connectedAtMs)}.`
    : `Its session is kept at ${edgeId} since ${timeOf(disconnectedAtMs)}, with ${queueMessages} messages waiting.`;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString().replace('.000Z', 'Z');
}

function spanOf(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  if (seconds < 1) return `${ms} ms`;
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ] as const;
  const shown = parts.filter(([amount]) => amount > 0).slice(0, 2);
  return shown.map(([amount, unit]) => `${amount} ${unit}`).join(' ');
}

function quoted(text: string): string {
  return `"${text.replaceAll(/["\\*]/g, '\\$&')}"`;
}
