/**
 * The query engine against a slow and obvious one: random sessions, random filters, orders and
 * groups, all of a seed. What the engine answers, page by page, must be what a plain sort gives.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FleetEngine } from '../../core/fleet/fleet-engine.ts';
import { selectNth } from '../../core/fleet/select-nth.ts';
import { parseFilter } from '../../core/query/parse.ts';
import { chunkRows } from '../../core/sessions/columns/columns.ts';
import { StringPool } from '../../core/sessions/columns/string-pool.ts';
import { SessionIndex } from '../../core/sessions/session-index.ts';
import { type Session, SessionState } from '../../proto/gen/trunkline/v1/session.ts';
import { HandClock, quietParts, session } from '../support/front.ts';
import { matchesNaively } from '../support/naive-filter.ts';
import { Random } from '../support/random.ts';

const now = 1_800_000_000_000;

class StillClock extends HandClock {
  override now(): number {
    return now;
  }
}

function openFleet() {
  const parts = { ...quietParts(), clock: new StillClock() };
  const index = new SessionIndex(parts);
  return { index, fleet: new FleetEngine({ ...parts, index }) };
}

const blank = {
  pageSize: 1_000,
  pageToken: '',
  filter: '',
  orderBy: '',
  fields: [],
  explain: false,
};

function randomSession(random: Random, number: number): Session {
  const isKept = random.below(3) === 0;
  return session(`${random.pick(['meter', 'Pump', 'lock'])}-${number}`, {
    edgeId: `edge-${random.below(5)}`,
    username: random.pick(['', 'ann', 'Bob', 'bob*', 'a b', 'Zo\u00eb', '\u00c9cole']),
    region: random.pick(['north', 'south']),
    state: isKept ? SessionState.KEPT : SessionState.CONNECTED,
    remoteAddress: `10.0.${random.below(4)}.${random.below(200)}:${random.below(60_000)}`,
    cleanStart: random.below(2) === 0,
    keepAliveSeconds: random.pick([0, 30, 60]),
    connectedAtMs: now - random.below(7_200_000),
    disconnectedAtMs: isKept ? now - random.below(7_200_000) : 0,
    queueMessages: random.below(4) === 0 ? random.below(1_000) : 0,
    receivedRate: random.below(100) / 7,
    subscriptions: Array.from({ length: random.below(3) }, () => ({
      filter: random.pick(['fleet/a/cmd', 'fleet/+/cmd', 'all/#']),
      qos: 1,
    })),
  });
}

const terms = [
  'state = kept',
  'state != connected',
  'queue_messages > 500',
  'queue_messages = 10..400',
  'connected_time > now-1h',
  'disconnected_time < now-30m',
  'disconnected_for < 20m',
  'disconnected_time:*',
  'username = b*',
  'username:BOB',
  'username = "bob\\*"',
  'username = ""',
  'username:zo\u00eb',
  'username:\u00e9co',
  'username = *o*',
  'username = Z*',
  'client_id:ump-1',
  'subscriptions:et/+',
  'client_id = meter-*',
  'client_id = *7',
  'client_id > meter',
  'edge_id = (edge-1 OR edge-3)',
  'clean_start = true',
  'keep_alive >= 30s',
  'subscriptions = fleet/*',
  'subscriptions:ALL',
  'region:*',
  'received_rate <= 5.5',
  'north',
  'PUMP',
  '10.0.1',
];

function randomFilter(random: Random, depth = 0): string {
  const count = 1 + random.below(3);
  const parts = Array.from({ length: count }, () => {
    const inner = depth < 2 && random.below(3) === 0;
    const term = inner ? `(${randomFilter(random, depth + 1)})` : random.pick(terms);
    return random.below(4) === 0 ? `NOT ${term}` : term;
  });
  return parts.join(random.pick([' AND ', ' OR ', ' ']));
}

test('random filters match what a naive evaluator matches', async () => {
  const random = new Random(11);
  const { index, fleet } = openFleet();
  // Past one piece of the columns, so that pieces are joined.
  const all = Array.from({ length: chunkRows + 300 }, (_, i) => randomSession(random, i));
  index.upsert('edge-0', all);
  for (const { clientId } of all.splice(500, 400)) index.remove('edge-0', [clientId]);
  for (let round = 0; round < 60; round++) {
    const filter = randomFilter(random);
    const tree = parseFilter(filter);
    const wanted = all
      .filter((one) => matchesNaively(tree, one, now))
      .map(({ clientId }) => clientId)
      .sort();
    const page = await fleet.list({ ...blank, filter });
    assert.equal(page.totalSize, wanted.length, filter);
    const found = page.sessions.map(({ clientId }) => clientId);
    assert.deepEqual(found, wanted.slice(0, 1_000), filter);
  }
});

type Key = (one: Session) => number | string;
const orders = new Map<string, Key>([
  ['queue_messages', (one) => one.queueMessages],
  ['connected_time', (one) => one.connectedAtMs],
  ['disconnected_for', (one) => (one.disconnectedAtMs === 0 ? 0 : now - one.disconnectedAtMs)],
  ['state', (one) => (one.state === SessionState.KEPT ? 'kept' : 'connected')],
  ['username', (one) => one.username],
  ['remote_address', (one) => one.remoteAddress],
  ['client_id', (one) => one.clientId],
]);

function compare(a: number | string, b: number | string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

test('pages in a random order follow each other as a plain sort has them', async () => {
  const random = new Random(23);
  const { index, fleet } = openFleet();
  const all = Array.from({ length: 12_000 }, (_, i) => randomSession(random, i));
  index.upsert('edge-0', all);
  for (let round = 0; round < 25; round++) {
    const keys = Array.from({ length: 1 + random.below(3) }, () => ({
      name: random.pick([...orders.keys()]),
      sign: random.below(2) === 0 ? 1 : -1,
    }));
    const orderBy = keys.map(({ name, sign }) => `${name}${sign < 0 ? ' desc' : ''}`).join(', ');
    const wanted = [...all].sort((a, b) => {
      for (const { name, sign } of keys) {
        const key = orders.get(name) as Key;
        const compared = sign * compare(key(a), key(b));
        if (compared !== 0) return compared;
      }
      return compare(a.clientId, b.clientId);
    });
    let pageToken = '';
    for (let at = 0; at < 4_000; at += 700) {
      const page = await fleet.list({ ...blank, orderBy, pageSize: 700, pageToken });
      const found = page.sessions.map(({ clientId }) => clientId);
      const part = wanted.slice(at, at + 700).map(({ clientId }) => clientId);
      assert.deepEqual(found, part, `${orderBy} from ${at}`);
      pageToken = page.nextPageToken;
    }
  }
});

test('groups have the figures that plain sums have', async () => {
  const random = new Random(5);
  const { index, fleet } = openFleet();
  const all = Array.from({ length: 5_000 }, (_, i) => randomSession(random, i));
  index.upsert('edge-0', all);
  const page = await fleet.group({
    ...blank,
    groupBy: ['username', 'state'],
    aggregates: [
      'sum(queue_messages)',
      'max(queue_messages)',
      'p50(received_rate)',
      'min(received_rate)',
    ],
    orderBy: 'username',
  });
  const groups = new Map<string, Session[]>();
  for (const one of all) {
    const name = `${one.username}/${one.state === SessionState.KEPT ? 'kept' : 'connected'}`;
    groups.set(name, [...(groups.get(name) ?? []), one]);
  }
  assert.equal(page.totalGroups, groups.size);
  for (const { keys, count, values } of page.groups) {
    const members = groups.get(keys.join('/')) ?? [];
    const rates = members.map((one) => one.receivedRate).sort((a, b) => a - b);
    const queues = members.map((one) => one.queueMessages);
    const sum = queues.reduce((total, queue) => total + queue, 0);
    const median = rates[Math.ceil(rates.length / 2) - 1];
    assert.equal(count, members.length);
    assert.deepEqual(values, [sum, Math.max(...queues), median, rates[0]]);
  }
  const names = page.groups.map(({ keys }) => keys[0] ?? '');
  assert.deepEqual(names, [...names].sort());
});

test('groups come in pages, the largest first', async () => {
  const { index, fleet } = openFleet();
  const all = Array.from({ length: 300 }, (_, i) =>
    session(`s${i}`, { username: `u${Math.floor(Math.sqrt(i))}` }),
  );
  index.upsert('edge-0', all);
  const query = { ...blank, groupBy: ['username'], aggregates: ['count'], pageSize: 7 };
  const seen: [string, number][] = [];
  let pageToken = '';
  do {
    const page = await fleet.group({ ...query, pageToken });
    seen.push(...page.groups.map(({ keys, count }) => [keys[0], count] as [string, number]));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  assert.equal(seen.length, 18);
  assert.deepEqual(seen[0], ['u16', 33]);
  assert.ok(seen.every(([, count], i) => i === 0 || count <= (seen[i - 1]?.[1] ?? 0)));
});

test('a session that does not change while pages are read stands on exactly one of them', async () => {
  const random = new Random(31);
  const { index, fleet } = openFleet();
  const still = Array.from({ length: 3_000 }, (_, i) => randomSession(random, i));
  const moving = Array.from({ length: 1_000 }, (_, i) => randomSession(random, 10_000 + i));
  index.upsert('edge-0', [...still, ...moving]);
  for (const orderBy of ['', 'queue_messages desc', 'username, connected_time', 'remote_address']) {
    const seen = new Map<string, number>();
    let pageToken = '';
    do {
      const page = await fleet.list({ ...blank, orderBy, pageSize: 97, pageToken });
      for (const { clientId } of page.sessions) seen.set(clientId, (seen.get(clientId) ?? 0) + 1);
      pageToken = page.nextPageToken;
      for (let i = 0; i < 50; i++) {
        const number = 10_000 + random.below(1_000);
        const one = randomSession(random, number);
        if (random.below(2) === 0) index.upsert('edge-0', [one]);
        else index.remove('edge-0', [one.clientId]);
      }
    } while (pageToken !== '');
    assert.ok(
      still.every(({ clientId }) => seen.get(clientId) === 1),
      `order ${orderBy}`,
    );
  }
});

test('a query says how it was answered', async () => {
  const { index, fleet } = openFleet();
  index.upsert(
    'edge-0',
    Array.from({ length: 500 }, (_, i) => session(`s${i}`)),
  );
  const explain = async (filter: string) =>
    (await fleet.list({ ...blank, filter, explain: true })).explain;
  const one = await explain('client_id = s7');
  assert.deepEqual([one?.examined, one?.matched], [1, 1]);
  const some = await explain('client_id = s7* AND state = connected');
  assert.deepEqual([some?.examined, some?.matched], [11, 11]);
  assert.match(some?.plan ?? '', /begin alike/);
  const scan = await explain('state = kept');
  assert.deepEqual([scan?.examined, scan?.matched], [500, 0]);
  assert.match(scan?.plan ?? '', /scanning the columns/);
});

test('a field mask leaves what it names, and the client identifier', async () => {
  const { index, fleet } = openFleet();
  index.upsert('edge-0', [session('a', { queueMessages: 4, username: 'ann' })]);
  const { sessions } = await fleet.list({ ...blank, fields: ['queue', 'connected_time'] });
  const [only] = sessions;
  assert.deepEqual(
    [only?.clientId, only?.queueMessages, only?.connectedAtMs, only?.username],
    ['a', 4, 1_000, ''],
  );
  await assert.rejects(fleet.list({ ...blank, fields: ['client_id', 'queu'] }), {
    message: /fields: unknown field 'queu' at character 11; did you mean queue_/,
  });
});

test('a bad order or group is refused with the place of the fault', async () => {
  const { fleet } = openFleet();
  for (const [orderBy, message] of [
    [
      'queue_messages, stat',
      /order_by: unknown field 'stat' at character 17; did you mean state\?/,
    ],
    ['state up', /expected asc, desc or a comma after 'state' at character 7/],
  ] as const) {
    await assert.rejects(fleet.list({ ...blank, orderBy }), { code: 'query-invalid', message });
  }
  const group = { ...blank, groupBy: ['edge_id'], aggregates: ['count'] };
  for (const [more, message] of [
    [
      { groupBy: ['edg_id'] },
      /group_by: unknown field 'edg_id' at character 1; did you mean edge_id\?/,
    ],
    [{ aggregates: ['p99(state)'] }, /aggregates: 'state' is no number at character 5/],
    [{ aggregates: ['total'] }, /'total' is no aggregate at character 1; there are count/],
    [
      { orderBy: 'region' },
      /'region' is not in the answer at character 1; there are count, edge_id/,
    ],
  ] as const) {
    await assert.rejects(fleet.group({ ...group, ...more } as typeof group), { message });
  }
});

test('a pool of texts agrees with a map, whatever comes and goes', () => {
  const random = new Random(3);
  const pool = new StringPool();
  const uses = new Map<string, number>();
  for (let i = 0; i < 30_000; i++) {
    const text = `t${random.below(2_000)}`;
    const count = uses.get(text) ?? 0;
    if (random.below(2) === 0) {
      assert.equal(pool.text(pool.obtain(text)), text);
      uses.set(text, count + 1);
    } else if (count > 0) {
      pool.release(pool.find(text));
      if (count === 1) uses.delete(text);
      else uses.set(text, count - 1);
    }
  }
  assert.equal(pool.size, uses.size);
  for (const text of uses.keys()) assert.equal(pool.text(pool.find(text)), text);
  assert.equal(pool.find('absent'), -1);
});

test('the value at a place is that of the sorted order', () => {
  const random = new Random(9);
  for (let round = 0; round < 200; round++) {
    const values = Float64Array.from({ length: 1 + random.below(50) }, () => random.below(10));
    const sorted = [...values].sort((a, b) => a - b);
    const nth = random.below(values.length);
    assert.equal(selectNth(values.slice(), nth), sorted[nth]);
  }
});
