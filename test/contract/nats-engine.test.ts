/**
 * What NATS adds to the contract of backplanes: several cores on one log, an engine that goes away or
 * loses what it had, and servers that are of no use.
 */
import assert from 'node:assert/strict';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { connect } from '@nats-io/transport-node';
import type { Publication } from '../../base/publication.ts';
import type { NatsBackplane } from '../../core/backplane/nats/nats-backplane.ts';
import { makeCertificate } from '../support/certificate.ts';
import { type NatsServer, startNats, startNatsCluster } from '../support/nats-server.ts';
import { natsOptions, newPrefix, openNats } from '../support/nats-world.ts';
import { temporaryFolder } from '../support/processes.ts';
import { publication } from '../support/trunk-world.ts';
import { until } from '../support/until.ts';
import { payloads, readAll, retainedOf, several, source } from './backplane-contract.ts';

let server: NatsServer;

before(async () => {
  server = await startNats();
});

interface TestCore {
  readonly log: NatsBackplane;
  /** Texts in the order of the log, and where they stand. */
  readonly heard: string[];
  readonly retained: Map<string, Publication>;
}

async function core(prefix: string, on = server): Promise<TestCore> {
  const log = await openNats(natsOptions([on.url], { prefix }));
  const heard: string[] = [];
  const retained = new Map<string, Publication>();
  log.onAppended((batches) => {
    for (const batch of batches) {
      for (const [i, one] of batch.publications.entries()) {
        if (one.retain) retained.set(one.topic, one);
        if (!one.topic.startsWith('$')) heard.push(`${batch.firstPosition + i} ${one.payload}`);
      }
    }
  });
  for (const one of await retainedOf(log)) retained.set(one.topic, one);
  await log.start(() => [...retained.values()].filter(({ payload }) => payload.length > 0));
  return { log, heard, retained };
}

async function withCores(
  count: number,
  work: (cores: TestCore[], prefix: string) => Promise<void>,
): Promise<void> {
  const prefix = newPrefix();
  const cores: TestCore[] = [];
  try {
    for (let i = 0; i < count; i++) cores.push(await core(prefix));
    await work(cores, prefix);
  } finally {
    for (const { log } of cores) await log.close();
  }
}

const append = (log: NatsBackplane, first: number, last: number) =>
  log.append([{ lane: 0, publications: several(last - first + 1, first), source: source(first) }]);

const texts = (heard: readonly string[]) => heard.map((line) => line.split(' ')[1]);

async function remove(prefix: string, stream: string): Promise<void> {
  const connection = await connect({ servers: server.url.replace('nats://', '') });
  await connection.request(`$JS.API.STREAM.DELETE.${prefix}_${stream}`, '', { timeout: 2_000 });
  await connection.close();
}

test('what one core appends the other hears, at the same positions', async () => {
  await withCores(2, async ([a, b]) => {
    await append(a!.log, 1, 3);
    await b!.log.append([{ lane: 0, publications: several(2, 7), source: null }]);
    await until(() => a!.heard.length === 5 && b!.heard.length === 5, 'both heard all');
    assert.deepEqual(a!.heard, b!.heard);
    assert.equal(a!.log.logEpoch, b!.log.logEpoch);
    assert.deepEqual(payloads(await readAll(b!.log, 0)), ['m1', 'm2', 'm3', 'm7', 'm8']);
  });
});

test('an edge that comes to another core goes on where it was, and what both cores bring is there once', async () => {
  await withCores(2, async ([a, b]) => {
    a!.log.openSource(source(1), 0, 1);
    for (let n = 1; n <= 40; n++) await append(a!.log, n, n);
    await b!.log.caughtUp();
    assert.equal(b!.log.openSource(source(1), 0, 1), 40);
    const both = [41, 42, 43, 44].flatMap((n) => [append(a!.log, n, n), append(b!.log, n, n)]);
    await Promise.all(both);
    await Promise.all([a!.log.caughtUp(), b!.log.caughtUp()]);
    const expected = Array.from({ length: 44 }, (_, i) => `m${i + 1}`);
    assert.deepEqual(texts(a!.heard), expected);
    assert.deepEqual(a!.heard, b!.heard);
  });
});

test('a core that starts reads on from where another one was, and knows what is retained', async () => {
  await withCores(1, async ([a], prefix) => {
    a!.log.openSource(source(1), 0, 1);
    const kept = publication('state/a.b > *', 'on', { retain: true });
    await append(a!.log, 1, 9);
    await a!.log.append([{ lane: null, publications: [kept], source: null }]);
    await a!.log.close();
    const b = await core(prefix);
    try {
      assert.deepEqual(b.heard, []);
      assert.equal(b.log.openSource(source(1), 0, 1), 9);
      assert.equal(b.retained.get(kept.topic)?.payload.toString(), 'on');
      assert.deepEqual(
        payloads(await readAll(b.log, 0)).slice(0, 9),
        several(9).map(({ payload }) => `${payload}`),
      );
    } finally {
      await b.log.close();
    }
  });
});

test('a stream that is deleted is made again, the log is another one, and edges can send all anew', async () => {
  await withCores(2, async ([a, b], prefix) => {
    a!.log.openSource(source(1), 0, 1);
    await append(a!.log, 1, 5);
    const before = a!.log.logEpoch;
    const changes: string[] = [];
    b!.log.onChanged((what) => changes.push(what));
    await remove(prefix, 'LOG_0');
    await until(() => a!.log.logEpoch !== before, 'the log is another one');
    await until(() => b!.log.logEpoch === a!.log.logEpoch, 'for both cores');
    assert.ok(changes.includes('epoch'));
    assert.equal(a!.log.openSource(source(1), 0, 3), 2);
    await append(a!.log, 3, 6);
    await b!.log.caughtUp();
    assert.deepEqual(texts(b!.heard).slice(-4), ['m3', 'm4', 'm5', 'm6']);
    assert.deepEqual(payloads(await readAll(b!.log, 0)), ['m3', 'm4', 'm5', 'm6']);
  });
});

test('all streams are deleted: what is retained is written again from what the cores have', async () => {
  await withCores(1, async ([a], prefix) => {
    const kept = publication('state/x', 'on', { retain: true });
    await a!.log.append([{ lane: null, publications: [kept], source: null }]);
    // Once, so that the cores know what the streams were.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const before = a!.log.logEpoch;
    for (const stream of ['LOG_0', 'LOG_1', 'LOG_2', 'LOG_3', 'RET', 'TAB']) {
      await remove(prefix, stream);
    }
    await until(() => a!.log.logEpoch !== before, 'the log is another one');
    const again = async () => {
      const b = await core(prefix);
      await b.log.close();
      return b.retained.get('state/x')?.payload.toString() === 'on';
    };
    await until(again, 'it is retained again');
  });
});

test('an engine that comes back with an old copy of its data is found out, and the log is another one', async () => {
  const own = await startNats();
  const prefix = newPrefix();
  const a = await core(prefix, own);
  try {
    a.log.openSource(source(1), 0, 1);
    await append(a.log, 1, 5);
    const before = a.log.logEpoch;
    const [data, copy] = [join(own.folder, 'jetstream'), join(own.folder, 'copy')];
    await own.kill('SIGTERM');
    await cp(data, copy, { recursive: true });
    await own.start();
    await append(a.log, 6, 9);
    await own.kill();
    await until(() => a.log.fault !== '', 'the fault is known');
    await rm(data, { recursive: true });
    await cp(copy, data, { recursive: true });
    await own.start();
    await until(() => a.log.logEpoch !== before, 'the log is another one', 20_000);
    await until(() => a.log.fault === '', 'the engine is back');
    assert.equal(a.log.openSource(source(1), 0, 1), 0);
    await append(a.log, 1, 9);
    assert.deepEqual(payloads(await readAll(a.log, 0, a.log.oldest(0) - 1)).length, 9);
  } finally {
    await a.log.close();
    await own.kill();
  }
});

test('what waits while the engine is away is in the log when it is back, once and in order', async () => {
  const own = await startNats();
  const a = await core(newPrefix(), own);
  try {
    a.log.openSource(source(1), 0, 1);
    await append(a.log, 1, 1);
    await own.kill();
    await until(() => a.log.fault !== '', 'the fault is known');
    await assert.rejects(a.log.caughtUp());
    const waiting = [2, 3, 4].map((n) => append(a.log, n, n));
    await own.start();
    await Promise.all(waiting);
    assert.deepEqual(texts(a.heard), ['m1', 'm2', 'm3', 'm4']);
    await until(() => a.log.fault === '', 'the fault is over');
  } finally {
    await a.log.close();
    await own.kill();
  }
});

test('of fifty who change a record at a time one succeeds, and all cores hear of it', async () => {
  await withCores(2, async ([a, b]) => {
    const table = a!.log.tables.table<{ n: number }>('owners');
    const other = b!.log.tables.table<{ n: number }>('owners');
    const heard: number[] = [];
    const unfollow = await other.follow({
      record: (key, { value }) => heard.push(key === 'device 1' ? value.n : -1),
      lost: () => {},
    });
    const race = (of: typeof table, revision: number) =>
      Promise.all(Array.from({ length: 50 }, (_, n) => of.put('device 1', { n }, revision)));
    const first = (await race(table, 0)).filter((revision) => revision !== null);
    assert.equal(first.length, 1);
    const second = (await race(other, first[0]!)).filter((revision) => revision !== null);
    assert.equal(second.length, 1);
    await until(() => heard.length === 2, 'both changes are heard of');
    const found = await table.get('device 1');
    assert.deepEqual([found?.value.n, found?.revision], [heard[1], second[0]]);
    assert.equal(await table.get('device 2'), null);
    unfollow();
  });
});

test('what a reader comes too late for is told, not passed over in silence', async () => {
  const prefix = newPrefix();
  const log = await openNats(natsOptions([server.url], { prefix, logBytes: 4 * 300_000 }));
  try {
    await log.start(() => []);
    for (let n = 0; n < 20; n++) {
      const large = publication('a/b', `${n} ${'x'.repeat(50_000)}`);
      await log.append([{ lane: 0, publications: [large], source: null }]);
    }
    const [batch] = await log.read(0, { position: 0, bytesMax: 1 });
    const lost = log.missing(0, batch!.firstPosition);
    assert.ok(lost > 10, `${lost} are missing`);
    assert.equal(batch?.publications[0]?.payload.toString().split(' ')[0], `${lost}`);
    assert.equal(log.missing(batch!.through, batch!.through + 1), 0);
  } finally {
    await log.close();
  }
});

test('a core and its servers speak TLS, and check each other', async () => {
  const files = makeCertificate(temporaryFolder());
  const tls = `jetstream { store_dir: "FOLDER" }\ntls { cert_file: "${files.cert}", key_file: "${files.key}" }`;
  const guarded = await startNats(tls);
  const url = guarded.url.replace('nats://', 'tls://');
  await assert.rejects(openNats(natsOptions([url])), { code: 'unreachable' });
  const log = await openNats(natsOptions([url], { tlsCa: files.cert }));
  await log.close();
  await guarded.kill();
  await assert.rejects(openNats(natsOptions([url], { tlsCa: '/nowhere.pem' })), {
    code: 'tls-unreadable',
    message: /nats\.tls_ca/,
  });
});

test('a cluster without a quorum is told, at the start and later', async () => {
  const cluster = await startNatsCluster();
  const prefix = newPrefix();
  const urls = cluster.map(({ url }) => url);
  const log = await openNats(natsOptions(urls, { prefix }));
  try {
    await log.start(() => []);
    await cluster[1]!.kill();
    await cluster[2]!.kill();
    await until(() => log.fault !== '', 'the fault is known', 30_000);
    const options = natsOptions(urls, { prefix, readyMs: 1_000 });
    await assert.rejects(openNats(options), {
      code: 'unreachable',
      message: /most of the cluster/,
    });
    await cluster[1]!.start();
    await until(() => log.fault === '', 'two of three are enough', 30_000);
    await log.append([{ lane: 0, publications: several(1), source: null }]);
  } finally {
    await log.close();
    await Promise.all(cluster.map((one) => one.kill()));
  }
});

test('servers that are of no use are refused with a sentence that says what to do', async () => {
  const open = (own: NatsServer | string, more = {}) =>
    openNats(natsOptions([typeof own === 'string' ? own : own.url], more));
  await assert.rejects(open('nats://127.0.0.1:1'), {
    code: 'unreachable',
    message: /core\.backplane/,
  });
  const without = await startNats('');
  await assert.rejects(open(without), {
    code: 'unsupported',
    message: /Enable it with "jetstream"/,
  });
  await without.kill();
  const users =
    'jetstream { store_dir: "FOLDER" }\nauthorization { users: [ { user: u, password: p }, { user: poor, password: p, permissions: { publish: "none", subscribe: "_INBOX.>" } } ] }';
  const guarded = await startNats(users);
  await assert.rejects(open(guarded), { code: 'not-authorized', message: /nats\.user/ });
  await assert.rejects(open(guarded, { user: 'poor', password: 'p' }), {
    code: 'not-authorized',
    message: /\$JS\.API/,
  });
  const log = await open(guarded, { user: 'u', password: 'p' });
  await log.close();
  await guarded.kill();
  await assert.rejects(open(server, { replicas: 3, prefix: newPrefix() }), {
    code: 'config-invalid',
    message: /nats\.replicas/,
  });
});
