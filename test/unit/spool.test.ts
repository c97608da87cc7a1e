/** The spool on real files: what survives, in which order, and what is freed. */
import assert from 'node:assert/strict';
import {
  appendFile,
  cp,
  mkdtemp,
  open as openFile,
  readdir,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { type Clock, systemClock } from '../../base/clock.ts';
import { createLog } from '../../base/log.ts';
import { Metrics } from '../../base/metrics.ts';
import type { Publication } from '../../base/publication.ts';
import { laneOf } from '../../base/topic.ts';
import { Spool } from '../../bridge/spool.ts';
import type { SpoolEntry } from '../../bridge/spool-entry.ts';

const log = createLog({ level: 'silent', format: 'json', tier: 'test' });
const opened: Spool[] = [];
const folders: string[] = [];
let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'trunkline-spool-'));
  folders.push(directory);
});

after(async () => {
  for (const spool of opened) await spool.close();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function open(bytesMax = 1 << 30, clock: Clock = systemClock): Promise<Spool> {
  const parts = { log, metrics: new Metrics(), clock };
  const spool = await Spool.open(parts, { directory, bytesMax });
  opened.push(spool);
  return spool;
}

function publication(topic: string, text: string, more: Partial<Publication> = {}): Publication {
  return {
    topic,
    payload: Buffer.from(text),
    qos: 1,
    retain: false,
    properties: null,
    acceptedAt: 1_700_000_000_000,
    origin: '',
    ...more,
  };
}

function fromDevice(topic: string, text: string, more: Partial<Publication> = {}): SpoolEntry {
  return {
    kind: 'publication',
    publication: publication(topic, text, more),
    source: { kind: 'device' },
    clientId: '',
    packetId: 0,
  };
}

function starts(logEpoch: string, positions: readonly number[], isSetBack = false) {
  return { logEpoch, lanes: positions.map((position) => ({ position, isSetBack })) };
}

function durable(spool: Spool, sequence: number): Promise<void> {
  return new Promise((resolve) => {
    if (spool.durableThrough >= sequence) return resolve();
    spool.onDurable((through) => {
      if (through >= sequence) resolve();
    });
  });
}

async function texts(spool: Spool): Promise<string[]> {
  const all: string[] = [];
  for await (const chunk of spool.read(1)) {
    for (const entry of chunk) {
      if (entry.kind === 'publication') all.push(entry.publication.payload.toString());
    }
  }
  return all;
}

test('everything that was announced durable is there after a start, in order', async () => {
  const spool = await open();
  let last = 0;
  for (let i = 0; i < 2_000; i++) last = spool.append(fromDevice(`t/${i % 7}`, `${i}`));
  await durable(spool, last);
  await spool.close();
  const again = await open();
  assert.deepEqual(
    await texts(again),
    Array.from({ length: 2_000 }, (_, i) => `${i}`),
  );
});

test('a record keeps every field', async () => {
  const spool = await open();
  const full = publication('ä/b', 'x', {
    qos: 2,
    retain: true,
    properties: Buffer.from([1, 2, 3]),
    origin: 'edge-9',
  });
  const from = { source: { origin: 'edge-9', epoch: 'ü', lane: 17 }, sequence: 2 ** 40 };
  const entry: SpoolEntry = {
    kind: 'publication',
    publication: full,
    source: { kind: 'trunk', logEpoch: 'e', lane: 3, position: 77, from },
    clientId: 'client',
    packetId: 4242,
  };
  const sequence = spool.append(entry);
  const release = spool.append({ kind: 'release', clientId: 'client', packetId: 4242 });
  await durable(spool, release);
  const read: unknown[] = [];
  for await (const chunk of spool.read(sequence)) read.push(...chunk);
  assert.deepEqual(read, [
    { ...entry, sequence },
    { kind: 'release', clientId: 'client', packetId: 4242, sequence: release },
  ]);
  assert.deepEqual(await spool.get(sequence), full);
  assert.equal(await spool.get(release), null);
});

test('a torn last record is cut off and what was before it stands', async () => {
  const spool = await open();
  await durable(spool, spool.append(fromDevice('a', 'whole')));
  await spool.close();
  const names = (await readdir(directory)).filter((name) => name.endsWith('.spool')).sort();
  const file = join(directory, names.at(-1) as string);
  await appendFile(file, Buffer.from([200, 0, 0, 0, 1, 2, 3, 4, 5]));
  const again = await open();
  await durable(again, again.append(fromDevice('a', 'next')));
  assert.deepEqual(await texts(again), ['whole', 'next']);
  await again.close();
  assert.deepEqual(await texts(await open()), ['whole', 'next']);
});

test('a record cut short by a crash is not given out', async () => {
  const spool = await open();
  await durable(spool, spool.append(fromDevice('a', 'one')));
  await durable(spool, spool.append(fromDevice('a', 'two')));
  const names = (await readdir(directory)).filter((name) => name.endsWith('.spool')).sort();
  const file = join(directory, names.at(-1) as string);
  await spool.close();
  // The close wrote a state record behind: cut into the second publication.
  const { size } = await stat(file);
  for (let cut = size - 1; cut > 0; cut--) {
    await truncate(file, cut);
    const again = await open();
    const found = await texts(again);
    await again.close();
    if (found.length === 1) {
      assert.deepEqual(found, ['one']);
      return;
    }
    assert.deepEqual(found, ['one', 'two']);
  }
  assert.fail('the second record never went');
});

test('each lane counts its own records without gaps, also across a start', async () => {
  const spool = await open();
  let last = 0;
  for (let i = 0; i < 100; i++) last = spool.append(fromDevice(`x${i % 9}/y`, `${i}`));
  await durable(spool, last);
  await spool.close();
  const again = await open();
  for (let i = 100; i < 120; i++) last = again.append(fromDevice(`x${i % 9}/y`, `${i}`));
  await durable(again, last);
  const seen: string[] = [];
  for (let lane = 0; lane < 4; lane++) {
    let expected = 1;
    for await (const chunk of again.uplink.readLane(lane, 1)) {
      for (const record of chunk) {
        assert.equal(record.laneSequence, expected++);
        assert.equal(laneOf(record.publication.topic), lane);
        seen.push(record.publication.payload.toString());
      }
    }
    assert.equal(again.uplink.newestOf(lane), expected - 1);
  }
  assert.equal(seen.length, 120);
});

test('what the core has made durable is freed, and the counters go on', async () => {
  const spool = await open();
  const lane = laneOf('big/topic');
  const payload = 'x'.repeat(1024 * 1024);
  let last = 0;
  for (let i = 0; i < 140; i++) last = spool.append(fromDevice('big/topic', payload));
  await durable(spool, last);
  const before = spool.uplink.bytes;
  spool.uplink.acknowledge(lane, 140);
  assert.equal(spool.uplink.backlog, 0);
  last = spool.append(fromDevice('big/topic', 'after'));
  await new Promise<void>((resolve) => {
    const stop = systemClock.every(50, () => {
      if (spool.uplink.bytes > before / 2) return;
      stop();
      resolve();
    });
  });
  await spool.close();
  const again = await open();
  assert.equal(again.uplink.oldestOf(lane) <= 141, true);
  assert.equal(again.uplink.newestOf(lane), 141);
  again.uplink.acknowledge(lane, 140);
  const left: number[] = [];
  for await (const chunk of again.uplink.readLane(lane, 141)) {
    left.push(...chunk.map((record) => record.laneSequence));
  }
  assert.deepEqual(left, [141]);
});

test('the downlink position is kept, and positions of another log are forgotten', async () => {
  const spool = await open();
  spool.uplink.startAt(starts('first', [1, 2, 3, 4]));
  spool.uplink.notePosition(2, { logEpoch: 'first', position: 40 });
  await spool.close();
  const again = await open();
  assert.deepEqual(again.uplink.downlinkPosition(2), { logEpoch: 'first', position: 40 });
  again.uplink.startAt(starts('second', [0, 5, 0, 0]));
  again.uplink.notePosition(2, { logEpoch: 'first', position: 41 });
  assert.deepEqual(again.uplink.downlinkPosition(2), { logEpoch: 'second', position: 0 });
  assert.deepEqual(again.uplink.downlinkPosition(1), { logEpoch: 'second', position: 5 });
});

test('the log that positions count in is known after a crash at any moment', async () => {
  const spool = await open();
  spool.uplink.startAt(starts('log', [0, 0, 3, 0]));
  const sequence = spool.append({
    kind: 'publication',
    publication: publication('a', 'x'),
    source: { kind: 'trunk', logEpoch: 'log', lane: 1, position: 9, from: null },
    clientId: '',
    packetId: 0,
  });
  await durable(spool, sequence);
  await crash();
  const again = await open();
  assert.deepEqual(again.uplink.downlinkPosition(1), { logEpoch: 'log', position: 9 });
});

/** What a process finds that starts after this one was killed now. */
async function crash(): Promise<void> {
  const crashed = directory;
  directory = await mkdtemp(join(tmpdir(), 'trunkline-spool-'));
  folders.push(directory);
  await cp(crashed, directory, { recursive: true });
}

test('a state record does not forget what came down before it and was not noted yet', async () => {
  let tidy: () => void = () => {};
  const clock: Clock = {
    ...systemClock,
    every: (_ms, fn) => {
      tidy = fn;
      return () => {};
    },
  };
  const spool = await open(1 << 30, clock);
  spool.uplink.startAt(starts('log', [5, 5, 5, 5]));
  const sequence = spool.append({
    kind: 'publication',
    publication: publication('a', 'x', { qos: 2 }),
    source: { kind: 'trunk', logEpoch: 'log', lane: 1, position: 9, from: null },
    clientId: '',
    packetId: 0,
  });
  spool.uplink.notePosition(2, { logEpoch: 'log', position: 6 });
  const written = durable(spool, sequence + 1);
  tidy(); // A state record goes into the same group commit, behind the publication.
  await written;
  assert.equal(spool.uplink.downlinkPosition(1).position, 5);
  await crash();
  const again = await open();
  assert.deepEqual(again.uplink.downlinkPosition(1), { logEpoch: 'log', position: 9 });
});

test('where a link begins is kept: all lanes of a new log at once, and positions set back', async () => {
  const spool = await open();
  spool.uplink.startAt(starts('log', [10, 20, 30, 40]));
  const first = spool.append({ kind: 'release', clientId: 'c', packetId: 1 });
  await durable(spool, first);
  await crash();
  const again = await open();
  const positions = (of: Spool) => [0, 1, 2, 3].map((lane) => of.uplink.downlinkPosition(lane));
  const at = (numbers: number[]) => numbers.map((position) => ({ logEpoch: 'log', position }));
  assert.deepEqual(positions(again), at([10, 20, 30, 40]));
  again.uplink.startAt(starts('log', [1, 2, 3, 4]));
  assert.deepEqual(positions(again), at([10, 20, 30, 40]));
  again.uplink.startAt(starts('log', [1, 2, 3, 4], true));
  await durable(again, again.append({ kind: 'release', clientId: 'c', packetId: 2 }));
  await crash();
  assert.deepEqual(positions(await open()), at([1, 2, 3, 4]));
});

test('a spool whose identity was cut short by a crash takes a new one, and keeps it', async () => {
  await writeFile(join(directory, 'epoch'), '');
  const { epoch } = (await open()).uplink;
  assert.match(epoch, /^[0-9a-f-]{36}$/);
  await crash();
  assert.equal((await open()).uplink.epoch, epoch);
});

test('a segment with records and no header is refused, and not taken for an empty one', async () => {
  const spool = await open();
  await durable(spool, spool.append(fromDevice('a', 'kept')));
  const names = (await readdir(directory)).filter((name) => name.endsWith('.spool')).sort();
  const file = await openFile(join(directory, names.at(-1) as string), 'r+');
  await file.write(Buffer.alloc(16), 0, 16, 0);
  await file.close();
  await crash();
  await assert.rejects(open(), { code: 'spool-corrupt' });
});

test('a full spool asks publishers to wait and says when there is room again', async () => {
  const spool = await open(100_000);
  const lane = laneOf('f/u');
  let last = 0;
  for (let i = 0; i < 12; i++) last = spool.append(fromDevice('f/u', 'x'.repeat(10_000)));
  await durable(spool, last);
  assert.equal(spool.isSaturated, true);
  assert.equal(spool.uplink.newestOf(lane), 12);
});
