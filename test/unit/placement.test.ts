/** Which core an edge chooses, when it leaves one for another, and how a fleet spreads over time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import {
  nearerProbes,
  reconnectFirstMs,
  reconnectFloor,
  reconnectMaxMs,
} from '../../base/limits.ts';
import { coreAddress } from '../../bridge/placement/core-address.ts';
import {
  type Challenge,
  type CoreView,
  inOrderOfChoice,
  judge,
  type Verdict,
} from '../../bridge/placement/placement.ts';
import { TokenBucket } from '../../core/trunk/token-bucket.ts';
import { Random } from '../support/random.ts';

const even = () => 0.5;

function core(address: string, roundTripMs: number, more: Partial<CoreView> = {}): CoreView {
  return {
    address,
    region: '',
    coreId: '',
    log: 'one',
    state: 'serving',
    roundTripMs,
    edges: 0,
    ...more,
  };
}

const orderOf = (cores: CoreView[], region = 'eu') =>
  inOrderOfChoice(cores, region, even)
    .map(({ address }) => address)
    .join(' ');

/** Judges the same again and again; where it went, and after how many probes. */
function judged(cores: CoreView[], current: string, probes = 10) {
  let challenge: Challenge | null = null;
  for (let probe = 1; probe <= probes; probe++) {
    const verdict: Verdict = judge(cores, { ownRegion: 'eu', current, challenge }, even);
    if (verdict.kind === 'move') return { to: verdict.address, reason: verdict.reason, probe };
    challenge = verdict.challenge;
  }
  return null;
}

test('an address may name its region', () => {
  assert.deepEqual(coreAddress('core.example:7400'), { address: 'core.example:7400', region: '' });
  assert.deepEqual(coreAddress('[::1]:7400@eu-1'), { address: '[::1]:7400', region: 'eu-1' });
});

test('the nearest core that serves comes first, and what does not serve last', () => {
  const far = core('far', 80);
  const near = core('near', 3);
  assert.equal(orderOf([far, near]), 'near far');
  const drains = core('drains', 1, { state: 'draining' });
  const dead = core('dead', 0, { state: 'unreachable' });
  const fresh = core('fresh', 0, { state: 'unknown' });
  assert.equal(orderOf([drains, dead, fresh, far, near]), 'near far fresh dead drains');
});

test('of cores that are alike, one of the own region comes first, then the less loaded', () => {
  const cores = [
    core('other', 20, { region: 'us' }),
    core('busy', 22, { region: 'eu', edges: 900 }),
    core('idle', 24, { region: 'eu', edges: 10 }),
  ];
  assert.equal(orderOf(cores), 'idle busy other');
  assert.equal(orderOf([...cores, core('much-nearer', 2, { region: 'us' })])[0], 'm');
});

test('of alike cores with logs of their own, that where most edges are comes first, then the list', () => {
  const one = core('one', 10, { log: 'x' });
  const two = core('two', 12, { log: 'y' });
  assert.equal(orderOf([one, two]), 'one two');
  assert.equal(orderOf([one, { ...two, edges: 2 }]), 'two one');
  assert.equal(
    orderOf([
      { ...one, log: '' },
      { ...two, log: '' },
    ]),
    'one two',
  );
});

test('edges that choose together among alike cores do not all choose the same', () => {
  const random = new Random(7);
  const cores = [core('a', 10, { edges: 100 }), core('b', 10, { edges: 100 })];
  const count = { a: 0, b: 0 };
  for (let edge = 0; edge < 1_000; edge++) {
    const first = inOrderOfChoice(cores, 'eu', () => random.next())[0];
    count[first?.address as 'a' | 'b']++;
  }
  assert.ok(Math.abs(count.a - count.b) < 150, JSON.stringify(count));
});

const moves: [string, CoreView[], ReturnType<typeof judged>][] = [
  ['20 % nearer is not enough', [core('now', 100), core('new', 80)], null],
  ['40 % nearer but by 2 ms is not enough', [core('now', 5), core('new', 3)], null],
  [
    '40 % and 8 ms nearer is, after some probes',
    [core('now', 20), core('new', 12)],
    { to: 'new', reason: 'nearer', probe: nearerProbes },
  ],
  [
    'one of the own region that is alike is preferred',
    [core('now', 20, { region: 'us' }), core('new', 20, { region: 'eu' })],
    { to: 'new', reason: 'own-region', probe: nearerProbes },
  ],
  [
    'one of the own region that is farther is not',
    [core('now', 20, { region: 'us' }), core('new', 28, { region: 'eu' })],
    null,
  ],
  [
    'of nearer ones, one of the own region that is alike to the nearest',
    [core('now', 90), core('new', 20, { region: 'us' }), core('home', 22, { region: 'eu' })],
    { to: 'home', reason: 'nearer', probe: nearerProbes },
  ],
  ['less load alone moves nobody', [core('now', 20, { edges: 900 }), core('new', 20)], null],
  [
    'where most edges are, of alike cores with logs of their own',
    [core('now', 20, { log: 'x', edges: 1 }), core('new', 20, { log: 'y', edges: 3 })],
    { to: 'new', reason: 'more-edges', probe: nearerProbes },
  ],
  [
    'not to a farther one, whoever is there',
    [core('now', 20, { log: 'x', edges: 1 }), core('new', 30, { log: 'y', edges: 99 })],
    null,
  ],
  [
    'a core that drains is left at once',
    [core('now', 1, { state: 'draining' }), core('new', 200)],
    { to: 'new', reason: 'draining', probe: 1 },
  ],
  [
    'but not for one that does not serve',
    [core('now', 1, { state: 'draining' }), core('new', 1, { state: 'unreachable' })],
    null,
  ],
  [
    'another address of the same core is no other core',
    [core('now', 50, { coreId: 'one' }), core('new', 5, { coreId: 'one' })],
    null,
  ],
  [
    'a probe that was missed moves nobody',
    [core('now', 0, { state: 'unreachable' }), core('new', 5)],
    null,
  ],
];
for (const [name, cores, expected] of moves) {
  test(`moving: ${name}`, () => assert.deepEqual(judged(cores, 'now'), expected));
}

test('a core has to be better in probes one after the other', () => {
  const better = [core('now', 50), core('new', 10)];
  const worse = [core('now', 50), core('new', 45)];
  let challenge: Challenge | null = null;
  const counted = [better, better, worse, better, better].map((cores) => {
    const verdict = judge(cores, { ownRegion: '', current: 'now', challenge }, even);
    assert.equal(verdict.kind, 'stay');
    challenge = verdict.kind === 'stay' ? verdict.challenge : null;
    return challenge?.probes ?? 0;
  });
  assert.deepEqual(counted, [1, 2, 0, 1, 2]);
});

test('no two cores send an edge back and forth, whatever their round trips', () => {
  const random = new Random(11);
  for (let round = 0; round < 5_000; round++) {
    const cores = ['a', 'b', 'c'].map((address) => {
      return core(address, random.between(1, 200) / 2, {
        region: random.pick(['eu', 'us']),
        log: random.pick(['x', 'y', '']),
        edges: random.below(4),
      });
    });
    let current = 'a';
    for (let moved = 0; ; moved++) {
      const verdict = judged(cores, current);
      if (verdict === null) break;
      assert.ok(moved < 5, `goes round among ${JSON.stringify(cores)}`);
      current = verdict.to;
    }
  }
});

test('a thousand edges that lost a core together come back spread over time', () => {
  const random = new Random(3);
  const upAtMs = 20_000;
  const windowMs = 100;
  const arrivals = new Map<number, number>();
  for (let edge = 0; edge < 1_000; edge++) {
    const waits = { firstMs: reconnectFirstMs, maxMs: reconnectMaxMs, floor: reconnectFloor };
    const backoff = new Backoff({ ...waits, random: () => random.next() });
    let at = 0;
    while (at < upAtMs) at += backoff.next();
    const window = Math.floor(at / windowMs);
    arrivals.set(window, (arrivals.get(window) ?? 0) + 1);
  }
  // With a tenth of each wait left to chance it is about 140, and without any all of them.
  const fullest = Math.max(...arrivals.values());
  assert.ok(fullest < 70, `${fullest} in one window`);
});

test('edges refused together are told to come one by one, and all of them are soon let in', () => {
  const random = new Random(5);
  const state = { now: 0 };
  const clock = { elapsed: () => state.now } as Clock;
  const options = { perSecond: 50, burst: 100, waitMsMax: 60_000 };
  const bucket = new TokenBucket(clock, options);
  const edgeCount = 1_000;
  const due = Array.from({ length: edgeCount }, () => random.below(200));
  const admitted: number[] = [];
  let asked = 0;
  while (due.length > 0) {
    due.sort((a, b) => b - a);
    state.now = due.pop() as number;
    asked++;
    const waitMs = bucket.take();
    if (waitMs === 0) admitted.push(state.now);
    else due.push(state.now + waitMs * (1 + random.next() / 4));
  }
  const inOneSecond = (from: number) => admitted.filter((at) => at >= from && at < from + 1_000);
  const fullest = Math.max(...admitted.map((at) => inOneSecond(at).length));
  assert.ok(fullest <= options.burst + options.perSecond + 1, `${fullest} in one second`);
  assert.ok((admitted.at(-1) ?? 0) < 30_000, `the last after ${admitted.at(-1)} ms`);
  assert.ok(asked < edgeCount * 2.5, `asked ${asked} times`);
});
