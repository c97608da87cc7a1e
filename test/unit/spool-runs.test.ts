/** Runs in the spool: one record on disk, and a sequence and a place on the lane for each message. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { createLog } from '../../base/log.ts';
import { Metrics } from '../../base/metrics.ts';
import { laneOf } from '../../base/topic.ts';
import { Spool } from '../../bridge/spool.ts';
import { publishFrame } from '../../broker/connection/frames.ts';
import { joinedRun } from '../../proto/joined-run.ts';
import { Run } from '../../proto/run.ts';

const log = createLog({ level: 'silent', format: 'json', tier: 'test' });
const topic = 'plant/1';
const lane = laneOf(topic);
const opened: Spool[] = [];
const folders: string[] = [];
let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'trunkline-runs-'));
  folders.push(directory);
});

after(async () => {
  for (const spool of opened) await spool.close();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function open(durability: 'disk' | 'memory' = 'disk'): Promise<Spool> {
  const parts = { log, metrics: new Metrics(), clock: systemClock };
  const spool = await Spool.open(parts, { directory, bytesMax: 1 << 30, durability });
  opened.push(spool);
  return spool;
}

function runOf(texts: readonly string[]) {
  const frames = Buffer.concat(
    texts.flatMap((text, index) =>
      publishFrame(topic, Buffer.from(text), {
        ...{ qos: 2, packetId: index + 1, retain: false, dup: false, properties: null },
      }),
    ),
  );
  const head = { topic, topicBytes: topic.length, qos: 2, form: 4, acceptedAt: 5 } as const;
  const range = { buffer: frames, start: 0, end: frames.length };
  return {
    kind: 'run',
    clientId: 'c',
    run: new Run({ ...head, count: texts.length }, range),
  } as const;
}

function durable(spool: Spool, through: number): Promise<void> {
  return new Promise((resolve) => {
    if (spool.durableThrough >= through) resolve();
    else spool.onDurable((reached) => reached >= through && resolve());
  });
}

const texts = Array.from({ length: 200 }, (_, index) => `message ${index}`);

test('each message of a run has a sequence, and is found by it after a restart', async () => {
  const spool = await open();
  const first = spool.append(runOf(texts));
  const next = spool.append({ kind: 'release', clientId: 'c', packetId: 1 });
  assert.equal(next, first + texts.length);
  await durable(spool, next);
  await spool.close();
  const again = await open();
  for (const index of [0, 1, 63, 64, 65, 150, 199]) {
    const found = await again.get(first + index);
    assert.equal(found?.payload.toString(), texts[index]);
  }
  assert.equal(await again.get(next), null);
  const entries = [];
  for await (const chunk of again.read(first + 100)) entries.push(...chunk);
  assert.deepEqual(
    entries.map(({ sequence, packetId }) => [sequence, packetId]),
    [...texts.keys()]
      .slice(100)
      .map((index) => [first + index, index + 1])
      .concat([[next, 1]]),
  );
});

test('a run goes up message by message, in the order of its lane', async () => {
  const spool = await open();
  const announced: number[] = [];
  spool.uplink.onUplink((records) => announced.push(...records().map((one) => one.laneSequence)));
  const last = spool.append(runOf(['before']));
  const first = spool.append(runOf(texts));
  await durable(spool, first + texts.length - 1);
  assert.equal(first, last + 1);
  const places = Array.from({ length: 201 }, (_, index) => index + 1);
  assert.deepEqual(announced, places);
  assert.equal(spool.uplink.newestOf(lane), 201);
  spool.uplink.acknowledge(lane, 100);
  assert.equal(spool.uplink.backlog, 101);
  const read: string[] = [];
  for await (const chunk of spool.uplink.readLane(lane, 101)) {
    for (const { publication } of chunk) read.push(publication.payload.toString());
  }
  assert.deepEqual(read, texts.slice(99));
});

test('a run that came down is read back with the places of each, and they count after a restart', async () => {
  const source = { origin: 'far', epoch: 'e', lane: 3 };
  const from = { source, sequence: 71 };
  const spool = await open();
  const trunk = { kind: 'trunk', logEpoch: 'log', lane, position: 11, from } as const;
  const publications = ['1', '2', '3'].map((text) => {
    const as = { qos: 1, retain: false, properties: null, acceptedAt: 5, origin: 'far' } as const;
    return { topic, payload: Buffer.from(text), ...as };
  });
  const run = joinedRun(publications);
  const first = spool.append({ kind: 'run', run, clientId: '', source: trunk });
  await durable(spool, first + 2);
  await spool.close();
  const again = await open();
  const entries = [];
  for await (const chunk of again.read(first)) entries.push(...chunk);
  assert.deepEqual(
    entries.map((entry) => entry.kind === 'publication' && entry.publication),
    publications,
  );
  assert.deepEqual(
    entries.map((entry) => entry.kind === 'publication' && entry.source),
    [0, 1, 2].map((i) => {
      return { ...trunk, position: 11 + i, from: { source, sequence: 71 + i } };
    }),
  );
  assert.equal(again.uplink.downlinkPosition(lane).position, 13);
  assert.equal(again.uplink.seen.markOf(source, lane).handed, 73);
  assert.equal(again.uplink.backlog, 0);
});

test('kept in memory, a run is there for readers as soon as it was appended', async () => {
  const spool = await open('memory');
  assert.equal(spool.isVolatile, true);
  const first = spool.append(runOf(texts));
  const found = await spool.get(first + 42);
  assert.equal(found?.payload.toString(), 'message 42');
});

test('written behind, a message is found while more and more is appended', async () => {
  const spool = await open('memory');
  let wanted = spool.append(runOf(texts));
  spool.onDurable(() => {
    if (wanted > 0) spool.append(runOf(texts));
  });
  const found = await spool.get(wanted);
  wanted = 0;
  assert.equal(found?.payload.toString(), texts[0]);
});
