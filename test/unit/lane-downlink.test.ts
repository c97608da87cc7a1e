/** What comes down a lane, over links and logs that come and go: each publication is handed on once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Canary } from '../../bridge/canary.ts';
import { DownlinkBooks } from '../../bridge/lane-books.ts';
import { LaneDownlink } from '../../bridge/lane-downlink.ts';
import type { Downlinked } from '../../bridge/ports.ts';
import { type Sequenced, TopicEncoder } from '../../proto/wire.ts';
import { FakeSpool } from '../support/fake-spool.ts';
import { common, publication } from '../support/trunk-world.ts';

const source = { origin: 'far', epoch: 'e', lane: 5 };

const item = (position: number, sequence: number, retain = false): Sequenced => ({
  sequence: position,
  publication: publication('t', `${sequence}`, { retain }),
  from: sequence === 0 ? null : { source, sequence },
});

function openDownlink() {
  const parts = common();
  const handed: Downlinked[] = [];
  const state = { isFailing: false };
  const deliver = async (_from: unknown, items: readonly Downlinked[]) => {
    if (state.isFailing) throw new Error('the disk is full');
    handed.push(...items);
  };
  const spool = new FakeSpool('spool');
  const none = { ...parts, wantedFilters: () => [], sessions: () => [] };
  const delivery = { ...none, deliver } as unknown as ConstructorParameters<
    typeof LaneDownlink
  >[0]['delivery'];
  const canary = new Canary({ ...parts, spool }, { edgeId: 'edge', everyMs: 0 });
  const figures = { canary, books: new DownlinkBooks(parts.metrics) };
  const downlink = new LaneDownlink({ ...parts, spool, delivery, figures }, 1);
  const attach = (logEpoch: string) => {
    const outlet = { write: () => {}, fail: () => {} };
    downlink.attach(outlet, { durableThrough: 0, logEpoch, position: 0, creditBytes: 1 }, false);
  };
  const take = async (...items: Sequenced[]) => {
    downlink.take(new TopicEncoder().encode(items, { now: Date.now() }), items);
    await downlink.idle();
  };
  const texts = () =>
    handed.splice(0).map((one) => `${one.publication.payload.toString()} at ${one.position}`);
  return { parts, spool, state, attach, take, texts };
}

test('what came by one log is known when it comes by another', async () => {
  const { attach, parts, take, texts } = openDownlink();
  attach('one');
  await take(item(1, 7), item(2, 9));
  assert.deepEqual(texts(), ['7 at 1', '9 at 2']);
  attach('two');
  await take(item(1, 7), item(2, 9), item(3, 10), item(4, 0), item(5, 0));
  assert.deepEqual(texts(), ['10 at 3', '0 at 4', '0 at 5']);
  assert.equal(parts.ledger.repeats.value, 2);
});

test('a retained message that comes by another log is taken as state', async () => {
  const { attach, take, texts } = openDownlink();
  attach('one');
  await take(item(1, 7, true));
  await take(item(1, 7, true));
  assert.deepEqual(texts(), ['7 at 1']);
  attach('two');
  await take(item(1, 7, true));
  assert.deepEqual(texts(), ['7 at 0']);
});

test('what the broker could not take is no repeat when it comes again', async () => {
  const { attach, spool, state, take, texts } = openDownlink();
  attach('one');
  state.isFailing = true;
  await take(item(1, 7), item(2, 8));
  assert.deepEqual(spool.seen.take(true), []);
  state.isFailing = false;
  await take(item(1, 7), item(2, 8));
  assert.deepEqual(texts(), ['7 at 1', '8 at 2']);
  assert.deepEqual(spool.seen.take(true), [['far', 'e', 5, 1, 8]]);
});
