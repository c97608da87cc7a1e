/**
 * What every backplane has to keep, whatever it is made of: the same tests are run against each. What
 * is of one alone stands in that one's own file.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Publication } from '../../base/publication.ts';
import { laneOf } from '../../base/topic.ts';
import type { Backplane, LogBatch } from '../../core/backplane/backplane.ts';
import { publication } from '../support/trunk-world.ts';

/** Where backplanes of one kind are opened, on data that outlives them. */
export interface BackplaneWorld {
  open(): Promise<Backplane>;
  end(): Promise<void>;
}

export const source = (firstSequence: number, lane = 0) => ({
  edgeId: 'e',
  epoch: 's1',
  lane,
  firstSequence,
});

export function several(count: number, from = 1): Publication[] {
  return Array.from({ length: count }, (_, i) => publication('a/b', `m${from + i}`));
}

/** Texts, without what stands in the place of repeats. */
export function payloads(batches: readonly LogBatch[]): string[] {
  return batches.flatMap((batch) =>
    batch.publications
      .filter(({ topic }) => !topic.startsWith('$'))
      .map(({ payload }) => payload.toString()),
  );
}

export async function readAll(log: Backplane, lane: number, after = 0): Promise<LogBatch[]> {
  const all: LogBatch[] = [];
  for (let position = after; position < log.head(lane); ) {
    const some = await log.read(lane, { position, bytesMax: 1e6 });
    if (some.length === 0) break;
    all.push(...some);
    position = some.at(-1)!.through;
  }
  return all;
}

export async function retainedOf(log: Backplane): Promise<Publication[]> {
  const all: Publication[] = [];
  for await (const some of log.readRetained()) all.push(...some);
  return all;
}

const none = () => [];

/** More positions than one message of any log has. */
const beyond = 10_000;

/** Topics of several lanes, each with its number as its text. */
const mixed = Array.from({ length: 20 }, (_, i) => publication(`m/${i % 7}`, `${i + 1}`));

const placesOf = (batches: readonly LogBatch[]) =>
  batches.flatMap((batch) =>
    batch.publications.flatMap(({ payload }, i) => {
      const place = batch.placeAt(i);
      return place === null ? [] : [[payload.toString(), place.sequence, place.source.lane]];
    }),
  );

const byNumber = (one: readonly unknown[], other: readonly unknown[]) =>
  Number(one[0]) - Number(other[0]);

export function backplaneContract(kind: string, create: () => Promise<BackplaneWorld>): void {
  async function withLog(work: (log: Backplane, world: BackplaneWorld) => Promise<void>) {
    const world = await create();
    const log = await world.open();
    try {
      await log.start(none);
      await work(log, world);
    } finally {
      await log.close();
      await world.end();
    }
  }

  test(`${kind}: positions ascend in each lane, and are read back from any of them`, async () => {
    await withLog(async (log) => {
      const [first] = await log.append([{ lane: 1, publications: several(3), source: null }]);
      const [second] = await log.append([{ lane: 1, publications: several(2, 4), source: null }]);
      await log.append([{ lane: 2, publications: several(1, 9), source: null }]);
      assert.ok(first!.firstPosition < second!.firstPosition);
      assert.deepEqual([log.head(0), log.head(3)], [0, 0]);
      assert.ok(log.head(1) >= second!.firstPosition + 1);
      const from = async (position: number) => payloads(await readAll(log, 1, position));
      assert.deepEqual(await from(0), ['m1', 'm2', 'm3', 'm4', 'm5']);
      assert.deepEqual(await from(second!.firstPosition - 1), ['m4', 'm5']);
      assert.deepEqual(await log.read(1, { position: log.head(1), bytesMax: 1e6 }), []);
      const [batch] = await log.read(1, { position: first!.firstPosition, bytesMax: 1 });
      assert.equal(batch?.firstPosition, first!.firstPosition);
    });
  });

  test(`${kind}: who appends hears that it is durable before the listeners hear of it`, async () => {
    await withLog(async (log) => {
      const heard: string[] = [];
      log.onAppended((batches) => heard.push(...payloads(batches).map((text) => `heard ${text}`)));
      await Promise.all(
        [1, 2, 3].map((n) => {
          const onDurable = () => heard.push(`durable m${n}`);
          return log.append([{ lane: 0, publications: several(1, n), source: null, onDurable }]);
        }),
      );
      for (const n of [1, 2, 3]) {
        const [durable, told] = [heard.indexOf(`durable m${n}`), heard.indexOf(`heard m${n}`)];
        assert.ok(durable >= 0 && durable < told, heard.join());
      }
      const told = heard.filter((line) => line.startsWith('heard'));
      assert.deepEqual(told, ['heard m1', 'heard m2', 'heard m3']);
    });
  });

  test(`${kind}: a repeat is answered and left out, a batch repeated in part brings its new part`, async () => {
    await withLog(async (log) => {
      const append = async (count: number) =>
        (await log.append([{ lane: 0, publications: several(count), source: source(1) }]))[0];
      assert.equal(log.openSource(source(1), 0, 1), 0);
      await append(3);
      assert.deepEqual(await append(3), { firstPosition: 0, repeats: 3 });
      assert.equal((await append(4))?.repeats, 3);
      assert.equal(log.openSource(source(1), 0, 1), 4);
      assert.deepEqual(payloads(await readAll(log, 0)), ['m1', 'm2', 'm3', 'm4']);
    });
  });

  test(`${kind}: a gap is refused alone`, async () => {
    await withLog(async (log) => {
      log.openSource(source(1), 0, 1);
      const results = await Promise.allSettled([
        log.append([{ lane: 0, publications: several(2), source: source(1) }]),
        log.append([{ lane: 0, publications: several(2), source: source(4) }]),
        log.append([{ lane: 0, publications: several(1), source: source(6) }]),
        log.append([{ lane: 0, publications: several(1, 3), source: source(3) }]),
      ]);
      assert.deepEqual(
        results.map((result) => (result.status === 'rejected' ? result.reason.code : 'taken')),
        ['taken', 'lane-gap', 'lane-gap', 'taken'],
      );
      assert.deepEqual(payloads(await readAll(log, 0)), ['m1', 'm2', 'm3']);
    });
  });

  test(`${kind}: an edge whose lane is not known starts below the oldest sequence that it holds`, async () => {
    await withLog(async (log) => {
      assert.equal(log.openSource(source(1), 3, 41), 40);
      await log.append([{ lane: 3, publications: several(1), source: source(41, 3) }]);
      assert.equal(log.openSource({ edgeId: 'e', epoch: 's2' }, 3, 1), 0);
      assert.equal(log.openSource(source(1), 3, 1), 41);
    });
  });

  test(`${kind}: a batch of one lane goes to the lanes of its topics, with its sequences`, async () => {
    await withLog(async (log) => {
      const heard: LogBatch[] = [];
      log.onAppended((batches) => heard.push(...batches));
      log.openSource(source(1), 9, 1);
      await log.append([{ lane: null, publications: mixed, source: source(1, 9) }]);
      const read = (await Promise.all([0, 1, 2, 3].map((lane) => readAll(log, lane)))).flat();
      for (const { lane, publications } of read) {
        assert.ok(publications.every(({ topic }) => laneOf(topic) === lane));
      }
      assert.ok(new Set(read.map(({ lane }) => lane)).size > 1);
      const expected = mixed.map((_, i) => [`${i + 1}`, i + 1, 9]);
      assert.deepEqual(placesOf(read).sort(byNumber), expected);
      assert.deepEqual(placesOf(heard).sort(byNumber), expected);
    });
  });

  test(`${kind}: a mixed batch that is repeated in part brings its new part to each lane`, async () => {
    await withLog(async (log) => {
      log.openSource(source(1), 9, 1);
      const append = async (from: number, to: number) => {
        const publications = mixed.slice(from, to);
        return (await log.append([{ lane: null, publications, source: source(from + 1, 9) }]))[0];
      };
      await append(0, 12);
      assert.equal((await append(5, 20))?.repeats, 7);
      assert.deepEqual(await append(3, 20), { firstPosition: 0, repeats: 17 });
      const read = (await Promise.all([0, 1, 2, 3].map((lane) => readAll(log, lane)))).flat();
      assert.deepEqual(
        placesOf(read).sort(byNumber),
        mixed.map((_, i) => [`${i + 1}`, i + 1, 9]),
      );
      assert.equal(log.openSource(source(1), 9, 1), 20);
      await assert.rejects(append(25, 26), { code: 'lane-gap' });
    });
  });

  test(`${kind}: opened again it has its epoch, positions, sequences and retained messages`, async () => {
    await withLog(async (log, world) => {
      const kept = publication('state/on', 'yes', { retain: true });
      const dropped = publication('state/off', 'no', { retain: true });
      log.openSource(source(1), 0, 1);
      await log.append([{ lane: 0, publications: [kept, dropped], source: source(1) }]);
      const emptied = { ...dropped, payload: Buffer.alloc(0) };
      await log.append([{ lane: 0, publications: [emptied], source: null }]);
      const [epoch, head] = [log.logEpoch, log.head(0)];
      await log.close();
      const again = await world.open();
      try {
        const retained = new Map<string, string>();
        const set = ({ topic, payload }: Publication) => retained.set(topic, payload.toString());
        again.onAppended((batches) => {
          for (const batch of batches) for (const one of batch.publications) set(one);
        });
        for (const one of await retainedOf(again)) set(one);
        await again.start(none);
        assert.deepEqual([again.logEpoch, again.head(0)], [epoch, head]);
        assert.equal(again.openSource(source(1), 0, 1), 2);
        assert.equal(again.epochOf('e'), 's1');
        retained.delete(retained.get('state/off') === '' ? 'state/off' : '');
        assert.deepEqual([...retained], [['state/on', 'yes']]);
        const [batch] = await again.read(0, { position: 0, bytesMax: 1e6 });
        assert.deepEqual(batch?.publications[0]?.payload, kept.payload);
        assert.ok(Math.abs((batch?.publications[0]?.acceptedAt ?? 0) - kept.acceptedAt) < 1_000);
        assert.deepEqual(placesOf(await readAll(again, 0)).slice(0, 2), [
          ['yes', 1, 0],
          ['no', 2, 0],
        ]);
      } finally {
        await again.close();
      }
    });
  });

  test(`${kind}: where a publication went is found by where it entered`, async () => {
    await withLog(async (log) => {
      log.openSource(source(1), 9, 1);
      await log.append([{ lane: null, publications: mixed, source: source(1, 9) }]);
      const from = { origin: 'e', epoch: 's1', lane: 9 };
      const place = await log.locate({ source: from, sequence: 13 });
      assert.deepEqual([place?.publication.payload.toString(), place?.lane], ['13', laneOf('m/5')]);
      assert.equal(await log.locate({ source: from, sequence: 99 }), null);
    });
  });

  test(`${kind}: what entered at a core is known by its place, whatever the log is called by then`, async () => {
    await withLog(async (log) => {
      const [appended] = await log.append([{ lane: 2, publications: several(3), source: null }]);
      const first = appended!.firstPosition;
      const expected = ['m1', 'm2', 'm3'].map((text, i) => [text, first + i, 2]);
      const [batch] = await readAll(log, 2);
      const place = batch?.placeAt(1);
      assert.deepEqual(placesOf(batch === undefined ? [] : [batch]), expected);
      assert.deepEqual(place?.source, { origin: '', epoch: log.logEpoch, lane: 2 });
      const { logEpoch } = log;
      await log.renewEpoch({ logEpoch, lane: 1, position: log.head(1) + beyond });
      assert.notEqual(log.logEpoch, logEpoch);
      const [again] = await readAll(log, 2);
      assert.deepEqual(again?.placeAt(1), place);
      const found = await log.locate(place!);
      assert.deepEqual([found?.publication.payload.toString(), found?.position], ['m2', first + 1]);
    });
  });

  test(`${kind}: a log that an edge is ahead of takes a new epoch, once, and tells it`, async () => {
    await withLog(async (log, world) => {
      const heard: string[] = [];
      log.onChanged((what) => heard.push(`${what} ${log.logEpoch}`));
      await log.append([{ lane: 0, publications: several(1), source: null }]);
      const { logEpoch } = log;
      const reached = { logEpoch, lane: 0, position: log.head(0) };
      const ahead = { ...reached, position: reached.position + beyond };
      await log.renewEpoch(reached);
      assert.equal(log.logEpoch, logEpoch);
      await Promise.all([log.renewEpoch(ahead), log.renewEpoch({ ...ahead, lane: 1 })]);
      const renewed = log.logEpoch;
      assert.notEqual(renewed, logEpoch);
      await log.renewEpoch(ahead); // Of the epoch before.
      assert.deepEqual(heard, [`epoch ${renewed}`]);
      // Edges send it what they retain, as to a log that has nothing of theirs.
      await log.append([{ lane: 0, publications: several(1, 2), source: null }]);
      assert.equal(payloads(await readAll(log, 0)).at(-1), 'm2');
      await log.close();
      const again = await world.open();
      assert.equal(again.logEpoch, renewed);
      await again.close();
    });
  });

  test(`${kind}: a publication of several megabytes comes out as it went in`, async () => {
    await withLog(async (log) => {
      const large = publication('a/b', 'x'.repeat(3_000_000));
      const heard: number[] = [];
      log.onAppended((batches) => {
        for (const { publications } of batches) {
          for (const { payload } of publications) heard.push(payload.length);
        }
      });
      await log.append([{ lane: 0, publications: [large], source: null }]);
      await log.append([{ lane: 0, publications: several(1), source: null }]);
      assert.deepEqual(heard, [3_000_000, 2]);
      const read = (await readAll(log, 0)).flatMap(({ publications }) => publications);
      assert.deepEqual(
        read.map(({ payload }) => payload.length),
        [3_000_000, 2],
      );
    });
  });

  test(`${kind}: a slot that a batch does not name has no publication in it`, async () => {
    await withLog(async (log) => {
      await log.append([{ lane: null, publications: mixed, source: null }]);
      for (const lane of [0, 1, 2, 3]) {
        for (const { bytes, hasRetained, publications, slots } of await readAll(log, lane)) {
          assert.ok(slots !== 0n && bytes > publications.length && !hasRetained);
        }
      }
    });
  });

  test(`${kind}: closed it refuses`, async () => {
    await withLog(async (log) => {
      await log.close();
      await assert.rejects(log.append([{ lane: 0, publications: several(1), source: null }]), {
        code: 'store-failing',
      });
    });
  });
}
