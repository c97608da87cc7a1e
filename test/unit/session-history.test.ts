/** What happened to sessions: kept, filtered, paged, bounded, and told in a sentence. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { SessionHistory } from '../../core/history/session-history.ts';
import { explainSession } from '../../core/history/session-story.ts';
import type { SessionEvent } from '../../proto/gen/trunkline/v1/session.ts';
import { quietParts, session } from '../support/front.ts';

const night = Date.UTC(2026, 0, 31, 3, 12, 4);
const minute = 60_000;

let folder: string;
let history: SessionHistory;
let now = night + 3_600_000;
const parts = quietParts();
const clock = { ...parts.clock, now: () => now };

beforeEach(async () => {
  now = night + 3_600_000;
  folder = await mkdtemp(join(tmpdir(), 'trunkline-history-'));
  history = await open();
});
afterEach(async () => {
  await history.close();
  await rm(folder, { recursive: true });
});

function open(bytesMax = 1e9): Promise<SessionHistory> {
  const options = { file: join(folder, 'history.db'), keptSeconds: 86_400, bytesMax };
  return SessionHistory.open({ ...parts, clock }, options);
}

function event(clientId: string, kind: string, more: Partial<SessionEvent> = {}): SessionEvent {
  return {
    atMs: night,
    clientId,
    kind,
    reason: '',
    by: '',
    edgeId: 'edge-1',
    gatewayId: '',
    region: 'north',
    listener: 'mqtt',
    protocol: '5',
    remoteAddress: '10.0.0.7:5000',
    username: 'ann',
    connectedMs: 0,
    ...more,
  };
}

const lost = event('meter-1', 'disconnected', {
  reason: 'keep-alive-timeout',
  by: 'edge',
  connectedMs: 2 * 3_600_000,
});

async function names(filter: string): Promise<string[]> {
  const query = { pageSize: 0, pageToken: '', filter, oldestFirst: true };
  return (await history.list(query)).events.map(({ clientId, kind }) => `${clientId} ${kind}`);
}

test('events are found by the language of sessions, in order of time', async () => {
  history.note([
    event('b%', 'refused', { reason: 'credentials', by: 'edge', atMs: night + minute }),
    lost,
    event('a[1]', 'connected', { atMs: night - minute }),
  ]);
  assert.deepEqual(await names(''), ['a[1] connected', 'meter-1 disconnected', 'b% refused']);
  assert.deepEqual(await names('kind = refused OR reason:alive'), [
    'meter-1 disconnected',
    'b% refused',
  ]);
  assert.deepEqual(await names('client_id = a[*'), ['a[1] connected']);
  assert.deepEqual(await names('client_id:"B%"'), ['b% refused']);
  assert.deepEqual(await names('-kind = connected AND time < 2026-01-31T03:13:00Z'), [
    'meter-1 disconnected',
  ]);
  assert.deepEqual(await names('connected_for > 1h'), ['meter-1 disconnected']);
  assert.deepEqual(await names('time > now-1h'), ['b% refused']);
  assert.deepEqual(await names('CREDENTIALS'), ['b% refused']);
  await assert.rejects(names('knd = refused'), {
    message: /unknown field 'knd'.*did you mean kind/,
  });
  await assert.rejects(names('kind = lost'), {
    message: /unknown kind 'lost'.*kinds are connected/,
  });
});

test('pages follow each other without gap or repeat', async () => {
  history.note(
    Array.from({ length: 95 }, (_, i) => event(`s${i}`, 'connected', { atMs: night + (i % 7) })),
  );
  const seen: string[] = [];
  let pageToken = '';
  do {
    const query = { pageSize: 20, pageToken, filter: '', oldestFirst: false };
    const page = await history.list(query);
    seen.push(...page.events.map(({ clientId }) => clientId));
    pageToken = page.nextPageToken;
    const other = { ...query, filter: 'kind = refused', pageToken };
    if (pageToken !== '')
      await assert.rejects(history.list(other), /belongs to a query with another/);
  } while (pageToken !== '');
  assert.equal(new Set(seen).size, 95);
  assert.equal(seen.length, 95);
});

test('what is too old goes, and what is too much', async () => {
  history.note([event('old', 'connected', { atMs: now - 2 * 86_400_000 }), lost]);
  await history.flush();
  await history.trim();
  assert.deepEqual(await names(''), ['meter-1 disconnected']);
  await history.close();
  history = await open(200_000);
  for (let i = 0; i < 12_000; i++) {
    history.note([event(`s${String(i).padStart(5, '0')}`, 'connected', { atMs: night + i })]);
  }
  await history.flush();
  await history.trim();
  const left = await names('');
  assert.ok(left.length < 12_000);
  assert.equal((await names('client_id = s11999')).length <= 1, true);
});

test('what was noted is there after a restart', async () => {
  history.note([lost]);
  await history.close();
  history = await open();
  assert.deepEqual(await names(''), ['meter-1 disconnected']);
});

const why = (clientId: string, atMs: number, one = session(clientId)) =>
  explainSession({ clientId, atMs }, { history, session: one, now });

test('why a device dropped at a time is one sentence with what happened around it', async () => {
  history.note([
    event('meter-1', 'connected', { atMs: night - 2 * 3_600_000 }),
    lost,
    event('meter-1', 'connected', { atMs: night + 36_000, remoteAddress: '10.0.0.9:1' }),
    event('other', 'disconnected', { atMs: night + 1 }),
  ]);
  const story = await why('meter-1', Date.UTC(2026, 0, 31, 3, 12));
  assert.equal(
    story.answer,
    '"meter-1" lost its connection to edge-1 after 2 h at 2026-01-31T03:12:04Z: nothing came from it within one and a half keep alives (keep-alive-timeout; ended by the edge). It came back 36 s later from 10.0.0.9:1. It is connected to edge-1 since 1970-01-01T00:00:01Z.',
  );
  assert.deepEqual(
    story.around.map(({ kind }) => kind),
    ['connected', 'disconnected', 'connected'],
  );
  assert.equal(story.event?.reason, 'keep-alive-timeout');
});

test('a device of which nothing is known to have ended is said so', async () => {
  const story = await explainSession(
    { clientId: 'x', atMs: 0 },
    { history, session: undefined, now },
  );
  assert.match(
    story.answer,
    /^No connection of "x" is known to have ended.*nothing is kept.*no session now/,
  );
  await assert.rejects(why('', 0), { code: 'query-invalid' });
});
