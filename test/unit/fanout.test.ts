/** The fan-out over a real log: who gets what, in which order, and what is retained. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Publication } from '../../base/publication.ts';
import { topicMatches } from '../../base/topic.ts';
import { EmbeddedBackplane } from '../../core/backplane/embedded.ts';
import { storedBatch } from '../../core/backplane/stored-batch.ts';
import { FanOut } from '../../core/fanout/fan-out.ts';
import { WantedFilters } from '../../core/fanout/wanted-filters.ts';
import { LogTail } from '../../core/log/log-tail.ts';
import { RetainedStore } from '../../core/log/retained-store.ts';
import { common, publication, withFolder } from '../support/trunk-world.ts';

const bounds = { logBytes: 1e9, logSeconds: 60 };

async function withFanout(work: (fanout: FanOut, file: string) => Promise<void>): Promise<void> {
  await withFolder(async (folder) => {
    const file = join(folder, 'log.db');
    const parts = common();
    const backplane = await EmbeddedBackplane.open(parts, { file });
    const fanout = await FanOut.open({ ...parts, backplane }, bounds);
    try {
      await work(fanout, file);
    } finally {
      await fanout.close();
      await backplane.close();
    }
  });
}

function target(id: string) {
  const got: Publication[] = [];
  const texts = () => got.map(({ topic, payload }) => `${topic}=${payload.toString()}`);
  return { id, got, texts, deliver: (list: readonly Publication[]) => void got.push(...list) };
}

test('a target gets one copy of what matches, and nothing that came from itself', async () => {
  await withFanout(async (fanout) => {
    const a = target('gateway-a');
    const attachment = fanout.attach(a);
    assert.equal(attachment.want('t/#'), true);
    assert.equal(attachment.want('t/+'), true);
    assert.equal(attachment.want('t/+'), false);
    await fanout.publish([
      publication('t/1', 'one', { qos: 0 }),
      publication('t/2', 'two', { qos: 1 }),
      publication('t/3', 'own', { qos: 1, origin: 'gateway-a' }),
      publication('else', 'no', { qos: 2 }),
    ]);
    assert.deepEqual(a.texts().sort(), ['t/1=one', 't/2=two']);
    attachment.unwant('t/#');
    attachment.unwant('t/+');
    await fanout.publish([publication('t/1', 'late')]);
    assert.equal(a.got.length, 2);
  });
});

test('calls that are not awaited keep their order, QoS 0 among QoS 0 and logged among logged', async () => {
  await withFanout(async (fanout) => {
    const a = target('a');
    fanout.attach(a).want('#');
    const calls = Array.from({ length: 50 }, (_, i) =>
      fanout.publish([
        publication('q0', String(2 * i), { qos: 0 }),
        ...(i % 3 === 0 ? [publication('q1', String(i))] : []),
        publication('q0', String(2 * i + 1), { qos: 0 }),
      ]),
    );
    await Promise.all(calls);
    const order = (topic: string) =>
      a.got.filter((one) => one.topic === topic).map((one) => Number(one.payload));
    assert.deepEqual(
      order('q0'),
      Array.from({ length: 100 }, (_, i) => i),
    );
    assert.deepEqual(
      order('q1'),
      Array.from({ length: 17 }, (_, i) => 3 * i),
    );
  });
});

test('retained messages are found by filter, also after reopening, and deleted by emptiness', async () => {
  await withFanout(async (fanout, file) => {
    await fanout.publish([
      publication('room/1/temp', '20', { retain: true, qos: 0 }),
      publication('room/2/temp', '21', { retain: true }),
      publication('room/2/temp', '22', { retain: true }),
      publication('room/3/temp', '23', { retain: true }),
      publication('room/3/temp', '', { retain: true }),
    ]);
    const expected = ['20', '22'];
    const found = (over: FanOut) =>
      over
        .attach(target('reader'))
        .retained('room/+/temp')
        .map((one) => one.payload.toString())
        .sort();
    assert.deepEqual(found(fanout), expected);
    const parts = common();
    const backplane = await EmbeddedBackplane.open(parts, { file });
    const again = await FanOut.open({ ...parts, backplane }, bounds);
    assert.deepEqual(found(again), expected);
    await again.close();
    await backplane.close();
  });
});

test('a topic that cannot be read back is refused before anything is accepted', async () => {
  await withFanout(async (fanout) => {
    const a = target('a');
    fanout.attach(a).want('#');
    const calls = fanout.publish([publication('fine', '1', { qos: 0 }), publication('a/#', '2')]);
    await assert.rejects(calls, { code: 'topic-invalid' });
    assert.equal(a.got.length, 0);
  });
});

test('the retained store agrees with the slow and obvious matcher', () => {
  const store = new RetainedStore();
  const topics = ['a', 'a/b', 'a//b', '/a', 'a/', '$SYS/up', 'a/b/c', 'b'];
  for (const topic of topics) store.set(publication(topic, 'x', { retain: true }));
  for (const filter of ['#', '+', '+/+', 'a/#', '/#', '+/b', 'a/+/b', '$SYS/#', 'a', '+/', 'c/#']) {
    const expected = topics.filter((topic) => topicMatches(filter, topic)).sort();
    const found = store.match(filter).map(({ topic }) => topic);
    assert.deepEqual(found.sort(), expected, filter);
  }
  for (const topic of topics) store.set(publication(topic, '', { retain: true }));
  assert.deepEqual([store.size, store.match('#').length], [0, 0]);
});

test('the tail finds what it holds and says nothing of what it let go', () => {
  const tail = new LogTail({ bytesMax: 2_000 });
  for (let i = 0; i < 100; i++) {
    const publications = [publication('a', 'x'.repeat(50)), publication('a', 'y'.repeat(50))];
    const through = 2 * i + 2;
    tail.push(
      storedBatch({ lane: 0, firstPosition: 2 * i + 1, through, publications, source: null }),
    );
  }
  assert.equal(tail.find(0, 1), undefined);
  assert.equal(tail.find(0, 200)?.firstPosition, 199);
  assert.equal(tail.find(0, 199)?.through, 200);
  assert.equal(tail.find(0, 201), undefined);
  assert.equal(tail.find(1, 1), undefined);
});

test('the tail lets go of what every reader has taken', () => {
  const tail = new LogTail({ bytesMax: 1_000_000 });
  for (let i = 1; i <= 100; i++) {
    const publications = [publication('a', 'x')];
    tail.push(storedBatch({ lane: 0, firstPosition: i, through: i, publications, source: null }));
  }
  tail.release(0, 40);
  assert.deepEqual([tail.find(0, 40), tail.find(0, 41)?.firstPosition], [undefined, 41]);
  assert.equal(tail.find(0, 100)?.through, 100);
  tail.release(0, Infinity);
  tail.release(0, Infinity);
  assert.equal(tail.find(0, 100), undefined);
});

test('a filter is wanted, as each sees it, when another than itself wants it', () => {
  const wanted = new WantedFilters();
  const heard: string[] = [];
  const listen = (id: string) =>
    wanted.listen(id, (filter, isWanted) => heard.push(`${id}${isWanted ? '+' : '-'}${filter}`));
  wanted.add('f', 'a');
  assert.deepEqual(listen('a'), []);
  assert.deepEqual(listen('b'), ['f']);
  wanted.add('f', 'b');
  assert.deepEqual(heard.splice(0), ['a+f']);
  wanted.add('f', 'c');
  assert.deepEqual(heard.splice(0), []);
  wanted.remove('f', 'c');
  wanted.remove('f', 'a');
  assert.deepEqual(heard.splice(0), ['b-f']);
  wanted.remove('f', 'b');
  assert.deepEqual(heard.splice(0), ['a-f']);
});
