/**
 * Watches of sessions: changes applied to a snapshot must give what a fresh query gives, also when
 * the watch is left and taken up again.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionWatch } from '../../core/fleet/session-watch.ts';
import { type Session, SessionState } from '../../proto/gen/trunkline/v1/session.ts';
import { fleetParts, session } from '../support/front.ts';
import { Random } from '../support/random.ts';

const filter = 'state = connected AND queue_messages > 4';

function changed(random: Random): Session {
  return session(`s${random.below(300)}`, {
    state: random.below(3) === 0 ? SessionState.KEPT : SessionState.CONNECTED,
    queueMessages: random.below(10),
    connectedAtMs: random.below(1_000),
  });
}

type Fleet = ReturnType<typeof fleetParts>;

function change({ sessions }: Fleet, random: Random): void {
  const edge = `edge-${random.below(3)}`;
  if (random.below(4) === 0) sessions.remove(edge, [`s${random.below(300)}`]);
  else sessions.upsert(edge, [changed(random)]);
}

/** Takes up to so many events; answers the last position. */
function follow(watch: SessionWatch, view: Map<string, Session>, eventsMax: number): string {
  let position = '';
  for (let i = 0; i < eventsMax; i++) {
    const event = watch.next();
    if (event === null) break;
    position = event.position || position;
    const { change: one } = event;
    if (one === undefined || one.$case === 'snapshotEnd') continue;
    if (one.$case === 'removed') view.delete(one.value.clientId);
    else view.set(one.value.clientId, one.value);
  }
  return position;
}

async function truth({ fleet }: Fleet) {
  const query = { pageSize: 1_000, pageToken: '', filter, orderBy: '', fields: [], explain: false };
  return (await fleet.list(query)).sessions;
}

const byName = (view: Map<string, Session>) =>
  [...view.values()].sort((a, b) => (a.clientId < b.clientId ? -1 : 1));

for (const seed of [1, 2, 3, 4]) {
  test(`changes applied to a snapshot give a fresh query, also after cuts (seed ${seed})`, async () => {
    const random = new Random(seed);
    const parts = fleetParts();
    for (let i = 0; i < 400; i++) change(parts, random);
    const view = new Map<string, Session>();
    let watch = parts.fleet.watch({ filter, resumeFrom: '' });
    let position = '';
    for (let round = 0; round < 400; round++) {
      for (let i = random.below(20); i > 0; i--) change(parts, random);
      position = follow(watch, view, random.below(30)) || position;
      if (position === '' || random.below(8) > 0) continue;
      watch.close();
      for (let i = random.below(200); i > 0; i--) change(parts, random);
      watch = parts.fleet.watch({ filter, resumeFrom: position });
    }
    follow(watch, view, Number.POSITIVE_INFINITY);
    assert.deepEqual(byName(view), await truth(parts));
    watch.close();
  });
}

test('a watch that is taken up tells what changed, then how many match, then goes on', () => {
  const { sessions, fleet } = fleetParts();
  sessions.upsert('edge-1', [session('a'), session('b'), session('c')]);
  const first = fleet.watch({ filter: 'state = connected', resumeFrom: '' });
  const position = follow(first, new Map(), 10);
  first.close();
  sessions.upsert('edge-1', [session('a', { queueMessages: 2 })]);
  sessions.upsert('edge-1', [session('d')]);
  sessions.remove('edge-1', ['b']);
  sessions.upsert('edge-1', [session('c', { state: SessionState.KEPT })]);
  const again = fleet.watch({ filter: 'state = connected', resumeFrom: position });
  const told: string[] = [];
  for (let event = again.next(); event !== null; event = again.next()) {
    const { change: one } = event;
    if (one?.$case === 'snapshotEnd') told.push(`${one.value.sessionCount} match`);
    else told.push(`${one?.$case} ${one?.value.clientId}`);
  }
  assert.deepEqual(told.slice(0, -1).sort(), ['changed a', 'changed d', 'removed b', 'removed c']);
  assert.equal(told.at(-1), '2 match');
  sessions.upsert('edge-1', [session('e')]);
  assert.equal(again.next()?.change?.$case, 'added');
  again.close();
});

test('a position that is too old, of another core or of another filter is told plainly', () => {
  const { sessions, fleet } = fleetParts();
  sessions.upsert('edge-1', [session('a')]);
  const watch = fleet.watch({ filter, resumeFrom: '' });
  const position = follow(watch, new Map(), 10);
  watch.close();
  assert.throws(() => fleet.watch({ filter: '', resumeFrom: position }), {
    code: 'query-invalid',
    message: /belongs to a watch with another filter/,
  });
  const other = fleetParts();
  assert.throws(() => other.fleet.watch({ filter, resumeFrom: position }), {
    code: 'position-gone',
    message: /too old: this core has been started since.*fresh snapshot/,
  });
  const names = Array.from({ length: 100_001 }, (_, i) => `gone-${i}`);
  sessions.upsert(
    'edge-1',
    names.map((name) => session(name)),
  );
  sessions.remove('edge-1', names);
  assert.throws(() => fleet.watch({ filter, resumeFrom: position }), {
    code: 'position-gone',
    message: /too many sessions have ended since/,
  });
});
