/** When a link is kept, moved and made anew: with links and probes that are told what to do, and time
 * that passes by hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nearerProbes } from '../../base/limits.ts';
import { CoreBook } from '../../bridge/placement/core-book.ts';
import type { ProbeResult } from '../../bridge/placement/core-probe.ts';
import { type KeptLink, LinkKeeper } from '../../bridge/placement/link-keeper.ts';
import { HandClock } from '../support/front.ts';
import { common } from '../support/trunk-world.ts';

class FakeLink implements KeptLink {
  readonly address: string;
  readonly coreRegion = '';
  readonly ended: Promise<string>;
  retryAfterMs = 0;
  mayProceed = false;
  endReason: string | null = null;
  readonly #on: { readonly welcomed: () => void; readonly up: () => void };
  #settle: (reason: string) => void = () => {};

  constructor(address: string, on: { readonly welcomed: () => void; readonly up: () => void }) {
    this.address = address;
    this.#on = on;
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  get coreId(): string {
    return `core at ${this.address}`;
  }

  proceed(): void {
    this.mayProceed = true;
  }

  welcome(): void {
    this.#on.welcomed();
  }

  up(): void {
    this.#on.up();
  }

  end(reason: string): void {
    this.endReason ??= reason;
    this.#settle(reason);
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function openWorld(roundTrips: Record<string, number>, probeEveryMs = 1_000) {
  const clock = new HandClock();
  const probed = new Map<string, ProbeResult>();
  const set = (address: string, roundTripMs: number, state: ProbeResult['state'] = 'serving') =>
    probed.set(address, { state, roundTripMs, facts: null });
  for (const [address, ms] of Object.entries(roundTrips)) set(address, ms);
  const { log, metrics } = common();
  const random = () => 0.5;
  const openProbe = (address: string) => ({
    look: async () => probed.get(address) as ProbeResult,
    close: () => {},
  });
  const book = new CoreBook(
    { clock, metrics, random, openProbe },
    {
      cores: Object.keys(roundTrips).map((address) => ({ address, region: '' })),
      ownRegion: '',
      probeEveryMs,
    },
  );
  const links: FakeLink[] = [];
  const events: string[] = [];
  const keeper = new LinkKeeper({ log, clock, metrics, book, random }, '', {
    open: (address, on) => {
      const link = new FakeLink(address, on);
      links.push(link);
      return link;
    },
    up: (link) => events.push(`up ${link.address}`),
    down: (link) => events.push(`down ${link.address}`),
  });
  keeper.start();
  await turn();
  const pass = async (ms: number) => {
    clock.pass(ms);
    await turn();
  };
  const rounds = async (count: number) => {
    for (let round = 0; round < count; round++) await pass(1_000);
  };
  const last = () => links.at(-1) as FakeLink;
  const connect = (link = last()) => {
    link.welcome();
    link.up();
  };
  return { book, clock, connect, events, keeper, last, links, metrics, pass, rounds, set };
}

test('a link stays where another core is a little nearer, or clearly nearer for a moment', async () => {
  const { connect, keeper, links, rounds, set } = await openWorld({ near: 50, far: 100 });
  connect();
  set('far', 45);
  await rounds(20);
  assert.equal(links.length, 1);
  for (let spell = 0; spell < 5; spell++) {
    set('far', 1);
    // One round, until the smoothed round trip is clearly below, and one less than it takes.
    await rounds(nearerProbes - 1);
    set('far', 100);
    await rounds(4);
  }
  assert.deepEqual([links.length, keeper.link?.address], [1, 'near']);
  await keeper.close();
});

test('it moves after enough probes, and the old link ends when the new core has said welcome', async () => {
  const { connect, events, keeper, last, links, rounds, set } = await openWorld({ a: 50, b: 60 });
  const [first] = links as [FakeLink];
  connect();
  set('b', 10);
  await rounds(nearerProbes + 1);
  assert.equal(links.length, 2);
  const second = last();
  assert.deepEqual(
    [second.address, second.mayProceed, first.endReason, keeper.link?.address],
    ['b', false, null, 'a'],
  );
  second.welcome();
  assert.equal(first.endReason, 'moving to b');
  await turn();
  assert.deepEqual([second.mayProceed, keeper.link?.address], [true, 'b']);
  second.up();
  assert.deepEqual(events, ['up a', 'down a', 'up b']);
  await keeper.close();
});

test('a move whose new core does not answer leaves the old link as it is', async () => {
  const { connect, events, keeper, last, links, rounds, set } = await openWorld({ a: 50, b: 60 });
  connect();
  set('b', 10);
  await rounds(nearerProbes + 1);
  last().end('connection refused');
  await turn();
  assert.deepEqual([links[0]?.endReason, keeper.link?.address, events], [null, 'a', ['up a']]);
  await keeper.close();
});

test('when the old link breaks during a move, the new one is gone on with at once', async () => {
  const { connect, keeper, last, links, rounds, set } = await openWorld({ a: 50, b: 60 });
  connect();
  set('b', 10);
  await rounds(nearerProbes + 1);
  links[0]?.end('connection reset');
  await turn();
  assert.deepEqual([links.length, last().mayProceed, keeper.link?.address], [2, true, 'b']);
  await keeper.close();
});

test('a redirect is refused when there is nowhere to go, and followed within its time', async () => {
  const alone = await openWorld({ a: 1 });
  alone.connect();
  const redirect = { address: '', withinMs: 1_000, reason: 'test' };
  assert.throws(() => alone.keeper.redirect(redirect), { code: 'unreachable' });
  await alone.keeper.close();

  const { connect, keeper, last, links, pass } = await openWorld({ a: 1, b: 90, c: 40 });
  connect();
  keeper.redirect(redirect);
  await pass(490);
  assert.equal(links.length, 1);
  await pass(20);
  assert.equal(last().address, 'c');
  // That one is gone; the core still drains, so the next one is tried.
  last().end('connection refused');
  await turn();
  await pass(500);
  assert.equal(last().address, 'b');
  connect();
  await turn();
  assert.equal(keeper.link?.address, 'b');
  await keeper.close();
});

test('a redirect with time is not hurried by probes that find the core draining', async () => {
  const { connect, keeper, last, links, rounds, set } = await openWorld({ a: 1, b: 1 });
  connect();
  keeper.redirect({ address: '', withinMs: 60_000, reason: 'test' });
  set('a', 1, 'draining');
  await rounds(29);
  assert.equal(links.length, 1);
  await rounds(2);
  assert.equal(last().address, 'b');
  await keeper.close();
});

test('a redirect that is taken back is not followed, and the core counts as one that serves', async () => {
  const { book, connect, keeper, links, pass } = await openWorld({ a: 1, b: 1 }, 0);
  connect();
  keeper.redirect({ address: '', withinMs: 1_000, reason: 'test' });
  keeper.recall();
  await pass(2_000);
  assert.equal(links.length, 1);
  assert.equal(book.views().find(({ address }) => address === 'a')?.state, 'serving');
  await keeper.close();
});

test('a redirect to where the edge is already is refused', async () => {
  const { connect, keeper } = await openWorld({ a: 1, b: 1 });
  connect();
  const redirect = { address: 'a', withinMs: 1, reason: 'test' };
  assert.throws(() => keeper.redirect(redirect), /at a already/);
  await keeper.close();
});

test('an edge that is told to come later comes later, to the same core', async () => {
  const { keeper, last, links, metrics, pass } = await openWorld({ a: 1 });
  last().retryAfterMs = 4_000;
  last().end('too many edges');
  await turn();
  await pass(4_000);
  assert.equal(links.length, 1);
  await pass(1_000);
  assert.deepEqual([links.length, last().address], [2, 'a']);
  assert.match(metrics.text(), /trunkline_attaches_deferred_total 1/);
  await keeper.close();
});

test('with cores that nobody probes, each is tried in turn', async () => {
  const { keeper, last, pass } = await openWorld({ a: 1, b: 1, c: 1 }, 0);
  const tried: string[] = [];
  for (let round = 0; round < 6; round++) {
    tried.push(last().address);
    last().end('connection refused');
    await turn();
    await pass(5_000);
  }
  assert.deepEqual(new Set(tried.slice(0, 3)), new Set(['a', 'b', 'c']));
  assert.deepEqual(tried.slice(3), tried.slice(0, 3));
  await keeper.close();
});
