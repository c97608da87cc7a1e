/** Fleet queries over gRPC: pages, tokens, one session, edges, and watches in one sequence. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ServiceError, status } from '@grpc/grpc-js';
import { sortedStart } from '../../core/sessions/columns/sorted-rows.ts';
import type {
  ListSessionsRequest,
  ListSessionsResponse,
  WatchSessionsResponse,
} from '../../proto/gen/trunkline/v1/fleet.ts';
import { SessionState } from '../../proto/gen/trunkline/v1/session.ts';
import {
  fleetParts,
  Inbox,
  openTestFront,
  session,
  type TestFront,
  until,
} from '../support/front.ts';

let front: TestFront;
before(async () => {
  front = await openTestFront();
  front.sessions.edgeAttached({ edgeId: 'edge-1', region: 'north', softwareVersion: '1.2.3' });
  const all = Array.from({ length: 120 }, (_, index) =>
    session(`meter-${String(index).padStart(3, '0')}`, {
      state: index % 2 === 0 ? SessionState.CONNECTED : SessionState.KEPT,
    }),
  );
  front.sessions.upsert('edge-1', all);
});
after(() => front.close());

function list(query: Partial<ListSessionsRequest>): Promise<ListSessionsResponse> {
  return new Promise((resolve, reject) => {
    const blank = {
      pageSize: 0,
      pageToken: '',
      filter: '',
      orderBy: '',
      fields: [],
      explain: false,
    };
    const request = { ...blank, ...query };
    front.operators.listSessions(request, (error, response) => {
      if (error === null) resolve(response);
      else reject(error);
    });
  });
}

const watching = (filter: string, resumeFrom = '') => ({ filter, resumeFrom, fields: [] });

function refused(code: number, details: RegExp) {
  return (error: ServiceError) => {
    assert.equal(error.code, code);
    assert.match(error.details, details);
    return true;
  };
}

test('pages follow each other without gap or repeat, and the last one says so', async () => {
  const seen: string[] = [];
  let pageToken = '';
  do {
    const page = await list({ pageToken, filter: 'state = kept', pageSize: 25 });
    assert.equal(page.totalSize, 60);
    assert.equal(page.complete, true);
    seen.push(...page.sessions.map(({ clientId }) => clientId));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  assert.equal(seen.length, 60);
  assert.deepEqual(seen, [...new Set(seen)].sort());
});

test('a page has fifty sessions when nothing is said, and a page of what is left ends it', async () => {
  assert.equal((await list({})).sessions.length, 50);
  assert.equal((await list({ pageSize: 120 })).nextPageToken, '');
  const exact = await list({ filter: 'client_id = meter-007' });
  assert.deepEqual([exact.sessions.length, exact.totalSize, exact.nextPageToken], [1, 1, '']);
});

test('a session that goes between two pages leaves no gap', async () => {
  const first = await list({ pageSize: 2 });
  front.sessions.remove('edge-1', ['meter-001']);
  const second = await list({ pageSize: 2, pageToken: first.nextPageToken });
  assert.deepEqual(
    second.sessions.map(({ clientId }) => clientId),
    ['meter-002', 'meter-003'],
  );
  front.sessions.upsert('edge-1', [session('meter-001', { state: SessionState.KEPT })]);
});

test('a token that was made up, changed, or given for another filter is refused', async () => {
  const { nextPageToken } = await list({ pageSize: 1 });
  const changed = `${nextPageToken.slice(0, -2)}AA`;
  for (const pageToken of ['made-up', changed, `${nextPageToken}=`]) {
    const details = /page_token is not valid: it is not one that this core gave/;
    await assert.rejects(list({ pageToken }), refused(status.INVALID_ARGUMENT, details));
  }
  await assert.rejects(
    list({ pageToken: nextPageToken, filter: 'state = kept' }),
    refused(status.INVALID_ARGUMENT, /belongs to a query with another filter, order or grouping/),
  );
});

test('a bad filter or page size is refused with the place of the fault', async () => {
  await assert.rejects(
    list({ filter: 'colour = red' }),
    refused(
      status.INVALID_ARGUMENT,
      /filter: unknown field 'colour' at character 1; fields are client_id/,
    ),
  );
  await assert.rejects(
    list({ pageSize: 1_001 }),
    refused(status.INVALID_ARGUMENT, /page_size is 1001; give 1 to 1000/),
  );
});

test('one session is found by its name, and an absent one is not found', async () => {
  const get = (clientId: string) =>
    new Promise<string | undefined>((resolve, reject) => {
      front.operators.getSession({ clientId }, (error, response) => {
        if (error === null) resolve(response.session?.clientId);
        else reject(error);
      });
    });
  assert.equal(await get('meter-003'), 'meter-003');
  await assert.rejects(get('x'), refused(status.NOT_FOUND, /no session with client_id "x"/));
});

test('an answer names the edges that are silent', async () => {
  front.sessions.edgeAttached({ edgeId: 'edge-2', region: 'south', softwareVersion: '1.2.3' });
  front.sessions.upsert('edge-2', [session('pump-1')]);
  front.sessions.edgeDetached('edge-2');
  const page = await list({ pageSize: 1 });
  assert.equal(page.complete, false);
  assert.deepEqual(page.silentEdges, ['edge-2']);
  front.sessions.remove('edge-2', ['pump-1']);
});

test('edges are listed with what they said of themselves', async () => {
  const edges = await new Promise<string[]>((resolve, reject) => {
    front.operators.listEdges({}, (error, response) => {
      if (error !== null) reject(error);
      else resolve(response.edges.map((edge) => `${edge.edgeId} ${edge.region} ${edge.connected}`));
    });
  });
  assert.deepEqual(edges, ['edge-1 north true', 'edge-2 south false']);
});

const told = ({ change }: WatchSessionsResponse) =>
  change?.$case === 'snapshotEnd'
    ? `end ${change.value.sessionCount}`
    : `${change?.$case} ${change?.value.clientId}`;

test('a watch gives the snapshot, its end, then changes as its filter sees them', async () => {
  const inbox = new Inbox(
    front.operators.watchSessions(watching('client_id = meter-00* AND state = kept')),
  );
  const first = [];
  for (let i = 0; i < 6; i++) first.push(await inbox.next());
  assert.deepEqual(first.map(told), [
    'snapshot meter-001',
    'snapshot meter-003',
    'snapshot meter-005',
    'snapshot meter-007',
    'snapshot meter-009',
    'end 5',
  ]);
  const kept = (clientId: string, queueMessages = 0) =>
    session(clientId, { state: SessionState.KEPT, queueMessages });
  front.sessions.upsert('edge-1', [kept('meter-002'), kept('pump-9'), kept('meter-003', 4)]);
  front.sessions.upsert('edge-1', [session('meter-001')]);
  front.sessions.remove('edge-1', ['meter-005', 'pump-9']);
  const changes = [];
  for (let i = 0; i < 4; i++) changes.push(await inbox.next());
  assert.deepEqual(changes.map(told), [
    'added meter-002',
    'changed meter-003',
    'removed meter-001',
    'removed meter-005',
  ]);
  const sequence = [...first, ...changes].map((event) => event.sequence);
  assert.deepEqual(
    sequence,
    Array.from({ length: 10 }, (_, index) => index + 1),
  );
  inbox.cancel();
  await until(() => front.metrics.text().includes('trunkline_fleet_watches 0'));
});

test('a watch with a bad filter is refused as a query is', async () => {
  const { code, details } = await new Inbox(front.operators.watchSessions(watching('x = 1'))).ended;
  assert.equal(code, status.INVALID_ARGUMENT);
  assert.match(details, /unknown field 'x'/);
});

test('a snapshot that is read while sessions come and go ends in the true state', () => {
  const { sessions, fleet } = fleetParts();
  const id = (index: number) => `d${String(index % 1_000).padStart(3, '0')}`;
  for (let i = 0; i < 500; i++) sessions.upsert('edge-1', [session(id(i * 7))]);
  const watch = fleet.watch(watching(''));
  const view = new Set<string>();
  let isWhole = false;
  for (let step = 0, event = watch.next(); event !== null; step++, event = watch.next()) {
    const { change } = event;
    if (change?.$case === 'snapshotEnd') isWhole = true;
    else if (change?.$case === 'removed') assert.ok(view.delete(change.value.clientId));
    else if (change?.$case === 'snapshot' || change?.$case === 'added') {
      assert.ok(!view.has(change.value.clientId), 'nothing is told as new twice');
      view.add(change.value.clientId);
    }
    if (step < 400) {
      sessions.upsert('edge-1', [session(id(step * 13))]);
      sessions.remove('edge-1', [id(step * 29)]);
    }
  }
  assert.ok(isWhole);
  const truth = [...sessions.sorted.slice(sortedStart)].map((row) => sessions.table.clientId(row));
  assert.deepEqual([...view].sort(), truth);
  watch.close();
});

test('a watcher that does not take its changes is ended with a reason', () => {
  const { sessions, fleet, metrics } = fleetParts();
  const reasons: string[] = [];
  const watch = fleet.watch(watching(''), (reason) => reasons.push(reason));
  assert.equal(watch.next()?.change?.$case, 'snapshotEnd');
  for (let i = 0; i <= 10_000; i++) sessions.upsert('edge-1', [session('a', { queueMessages: i })]);
  assert.deepEqual(reasons, ['slow']);
  assert.equal(watch.next(), null);
  assert.match(metrics.text(), /watches_ended_total\{reason="slow"\} 1/);
});

test('a page without a filter is taken from the index without a look at the others', async () => {
  const { sessions, fleet } = fleetParts();
  sessions.upsert(
    'edge-1',
    Array.from({ length: 20_000 }, (_, i) => session(`s${i}`)),
  );
  const all = { pageSize: 50, pageToken: '', filter: '', orderBy: '', fields: [], explain: true };
  const page = await fleet.list(all);
  assert.deepEqual([page.sessions.length, page.totalSize], [50, 20_000]);
  assert.equal(page.explain?.examined, 0);
});

test('too many watches are refused, counted, and possible again when one is closed', () => {
  const { fleet, metrics } = fleetParts();
  const watches = Array.from({ length: 100 }, () => fleet.watch(watching('')));
  assert.throws(() => fleet.watch(watching('')), { code: 'overloaded', message: /100 watches/ });
  assert.match(metrics.text(), /trunkline_fleet_watches_refused_total 1/);
  watches[0]?.close();
  fleet.watch(watching('')).close();
  for (const watch of watches) watch.close();
});
