/** The session index: who is current, in which order, and what listeners and operators see. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../base/clock.ts';
import { SortedRows, sortedStart } from '../../core/sessions/columns/sorted-rows.ts';
import { SessionIndex } from '../../core/sessions/session-index.ts';
import { SessionState } from '../../proto/gen/trunkline/v1/session.ts';
import type { EdgeStats } from '../../proto/gen/trunkline/v1/trunk.ts';
import { quietParts, session } from '../support/front.ts';

function openIndex() {
  let time = 0;
  const clock: Clock = {
    now: () => time,
    elapsed: () => time,
    after: () => () => {},
    every: () => () => {},
  };
  const index = new SessionIndex({ ...quietParts(), clock });
  const changes: string[] = [];
  index.onChange({
    changing: () => {},
    changed: (kind, row) => changes.push(`${kind} ${index.table.clientId(row)}`),
  });
  return {
    index,
    changes,
    passMs: (ms: number) => {
      time += ms;
    },
    attach: (edgeId: string) =>
      index.edgeAttached({ edgeId, region: 'north', softwareVersion: '1.0.0' }),
    ids: () => [...index.sorted.slice(sortedStart)].map((row) => index.table.clientId(row)),
    told: () => changes.splice(0),
  };
}

const noStats: EdgeStats = {
  receivedMessages: 0,
  deliveredMessages: 0,
  droppedMessages: 0,
  uplinkedMessages: 0,
  downlinkedMessages: 0,
  connectedSessions: 0,
  backlogMessages: 0,
  spoolBytes: 0,
  startedAtMs: 0,
  roundTripUs: 0,
  lanes: [],
  rulesVersion: 0,
  emptyInSeconds: 0,
  foreign: [],
  cores: [],
};

test('sessions stand in the order of their client identifiers', () => {
  const { index, ids } = openIndex();
  index.upsert(
    'edge-1',
    ['b', 'a', 'd'].map((id) => session(id)),
  );
  index.upsert('edge-2', [session('c')]);
  index.remove('edge-1', ['d', 'never-there']);
  assert.deepEqual(ids(), ['a', 'b', 'c']);
  assert.equal(index.size, 3);
});

test('sorted rows agree with a sorted array, whatever comes and goes', () => {
  const keyOf = (row: number) => `k${row}`;
  const rows = new SortedRows(keyOf);
  const present = new Set<number>();
  let state = 1;
  for (let i = 0; i < 20_000; i++) {
    state = Math.imul(state, 1_103_515_245) + 12_345;
    const row = (state >>> 8) % 7_000;
    if (present.delete(row)) rows.delete(row);
    else {
      present.add(row);
      rows.add(row);
    }
  }
  const walked: string[] = [];
  let from = sortedStart;
  for (let step = rows.slice(from); step.length > 0; step = rows.slice(from)) {
    walked.push(...[...step].map(keyOf));
    from = { key: walked.at(-1) as string, isPast: true };
  }
  const back: string[] = [];
  for (let step = rows.sliceBefore(null); step.length > 0; ) {
    back.unshift(...[...step].map(keyOf));
    step = rows.sliceBefore(back[0] as string);
  }
  const truth = [...present].map(keyOf).sort();
  assert.deepEqual(walked, truth);
  assert.deepEqual(back, truth);
  assert.equal(rows.size, present.size);
});

test('listeners hear of what came, changed and went, and not of what stayed the same', () => {
  const { index, told } = openIndex();
  index.upsert('edge-1', [session('a')]);
  index.upsert('edge-1', [session('a')]);
  index.upsert('edge-1', [session('a', { queueMessages: 3 })]);
  index.remove('edge-1', ['a']);
  assert.deepEqual(told(), ['added a', 'changed a', 'removed a']);
});

test('of two edges that report one client, the more recently connected one is current', () => {
  const { index, told } = openIndex();
  index.upsert('edge-1', [session('a', { connectedAtMs: 100 })]);
  index.upsert('edge-2', [session('a', { edgeId: 'edge-2', connectedAtMs: 200 })]);
  assert.equal(index.get('a')?.edgeId, 'edge-2');
  assert.equal(index.size, 1);
  told();
  index.remove('edge-1', ['a']);
  assert.equal(index.get('a')?.edgeId, 'edge-2');
  assert.deepEqual(told(), []);
  index.remove('edge-2', ['a']);
  assert.deepEqual(told(), ['removed a']);
});

test('when the current session goes, the one of the other edge is current again', () => {
  const { index, told } = openIndex();
  const kept = session('a', { state: SessionState.KEPT, connectedAtMs: 900 });
  index.upsert('edge-1', [kept]);
  index.upsert('edge-2', [session('a', { edgeId: 'edge-2', connectedAtMs: 200 })]);
  assert.equal(index.get('a')?.edgeId, 'edge-2', 'connected goes before kept');
  told();
  index.remove('edge-2', ['a']);
  assert.equal(index.get('a')?.edgeId, 'edge-1');
  assert.deepEqual(told(), ['changed a']);
});

test('a snapshot removes what it does not name', () => {
  const { index, ids, told } = openIndex();
  index.upsert(
    'edge-1',
    ['a', 'b', 'c'].map((id) => session(id)),
  );
  told();
  index.snapshotBegin('edge-1');
  index.upsert('edge-1', [session('b'), session('d')]);
  index.snapshotEnd('edge-1');
  assert.deepEqual(ids(), ['b', 'd']);
  assert.deepEqual(told(), ['added d', 'removed a', 'removed c']);
});

test('an edge that went away is silent as long as its sessions are listed', () => {
  const { index, attach } = openIndex();
  attach('edge-1');
  index.upsert('edge-1', [session('a')]);
  assert.deepEqual(index.silentEdges(), []);
  index.edgeDetached('edge-1');
  assert.deepEqual(index.silentEdges(), ['edge-1']);
  assert.equal(index.edges()[0]?.connected, false);
  index.remove('edge-1', ['a']);
  assert.deepEqual(index.silentEdges(), []);
});

test('a link that replaces one not yet known dead keeps its edge connected', () => {
  const { index, attach } = openIndex();
  attach('edge-1');
  attach('edge-1');
  index.edgeDetached('edge-1');
  assert.equal(index.edges()[0]?.connected, true);
});

test('an edge shows its totals and its rates over the last ten seconds', () => {
  const { index, attach, passMs } = openIndex();
  attach('edge-1');
  index.edgeInterest('edge-1', 7);
  index.upsert('edge-1', [session('a'), session('b', { state: SessionState.KEPT })]);
  for (let second = 0; second <= 30; second++) {
    const rate = second <= 20 ? 100 : 10;
    const received = second <= 20 ? second * rate : 2_000 + (second - 20) * rate;
    index.edgeStats('edge-1', { ...noStats, receivedMessages: received, deliveredMessages: 5 });
    passMs(1_000);
  }
  const [edge] = index.edges();
  assert.equal(edge?.receivedRate, 10);
  assert.equal(edge?.deliveredRate, 0);
  assert.equal(edge?.receivedMessages, 2_100);
  assert.equal(edge?.interestCount, 7);
  assert.equal(edge?.sessionCount, 2);
  assert.equal(edge?.connectedSessionCount, 1);
  passMs(20_000);
  assert.equal(index.edges()[0]?.receivedRate, 0, 'what is not reported any more has no rate');
});

test('totals that fall start the rates anew instead of showing a negative one', () => {
  const { index, attach, passMs } = openIndex();
  attach('edge-1');
  for (const receivedMessages of [1_000, 2_000, 10, 20]) {
    index.edgeStats('edge-1', { ...noStats, receivedMessages });
    passMs(1_000);
  }
  assert.equal(index.edges()[0]?.receivedRate, 10);
});

test('an edge speaks for itself alone and lends its region', () => {
  const { index, attach } = openIndex();
  attach('edge-1');
  index.upsert('edge-1', [session('a', { edgeId: 'edge-9' })]);
  assert.equal(index.get('a')?.edgeId, 'edge-1');
  assert.equal(index.get('a')?.region, 'north');
});
