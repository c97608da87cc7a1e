/**
 * Folders put back from an old copy, and damaged ones: a real spool, bridge, door and log. Nothing
 * that is accepted afterwards may be taken for what was there before, and what is lost is told.
 */
import assert from 'node:assert/strict';
import { cp, open as openFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { openSqlite } from '../../base/sqlite.ts';
import { laneOf } from '../../base/topic.ts';
import { Bridge } from '../../bridge/bridge.ts';
import type { Downlinked, LocalDelivery } from '../../bridge/ports.ts';
import { EdgeRules } from '../../bridge/rules/edge-rules.ts';
import { Spool } from '../../bridge/spool.ts';
import { startProxy } from '../support/proxy.ts';
import { common, publication, TestCore, withFolder } from '../support/trunk-world.ts';
import { until } from '../support/until.ts';

/** Closed after each test, also after one that failed; twice does no harm. */
const opened: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

async function openCore(file: string, options: { port?: number } = {}): Promise<TestCore> {
  const core = await TestCore.open(file, options);
  opened.push(core);
  return core;
}

const topic = 'put/back';
const lane = laneOf(topic);

/** A spool on disk and a bridge; the broker is a list. */
class Edge implements LocalDelivery {
  readonly parts = common();
  readonly received: Downlinked[] = [];
  readonly spool: Spool;
  readonly bridge: Bridge;

  private constructor(spool: Spool, port: number, edgeId: string) {
    this.spool = spool;
    this.bridge = new Bridge(
      { ...this.parts, spool: spool.uplink, rules: new EdgeRules(this.parts) },
      {
        edgeId,
        region: 'here',
        cores: [`127.0.0.1:${port}`],
        token: '',
        softwareVersion: 'test',
      },
    );
  }

  /** Not connected until `bridge.start`. */
  static async open(
    directory: string,
    port: number,
    { bytesMax = 1 << 30, edgeId = 'edge' } = {},
  ): Promise<Edge> {
    const spool = await Spool.open(common(), { directory, bytesMax });
    const edge = new Edge(spool, port, edgeId);
    opened.push(edge);
    return edge;
  }

  async accept(texts: readonly string[], qos: 1 | 2 = 1): Promise<void> {
    let last = 0;
    for (const text of texts) {
      const source = { kind: 'device' } as const;
      const one = { publication: publication(topic, text, { qos }), source };
      last = this.spool.append({ kind: 'publication', ...one, clientId: '', packetId: 0 });
    }
    await until(() => this.spool.durableThrough >= last, 'accepted');
  }

  get texts(): string[] {
    return this.received.map((item) => item.publication.payload.toString());
  }

  async deliver(_from: unknown, items: readonly Downlinked[]): Promise<void> {
    this.received.push(...items);
  }

  wantedFilters(): Iterable<string> {
    return [topic];
  }

  beginRetainedSync() {
    return () => {};
  }

  sessions() {
    return [];
  }

  stats() {
    const none = { receivedMessages: 0, deliveredMessages: 0, droppedMessages: 0 };
    return { ...none, connectedSessions: 0, startedAtMs: 1 };
  }

  async close(): Promise<void> {
    await this.bridge.close();
    await this.spool.close();
  }
}

async function logged(core: TestCore): Promise<string[]> {
  const batches = await core.backplane.read(lane, { position: 0, bytesMax: 1e6 });
  return batches.flatMap((batch) => batch.publications.map(({ payload }) => payload.toString()));
}

const texts = (name: string, count: number) => Array.from({ length: count }, (_, i) => name + i);

test('a spool put back from an old copy loses nothing that is accepted after it', async () => {
  await withFolder(async (folder) => {
    const core = await openCore(join(folder, 'log.db'));
    const directory = join(folder, 'spool');
    const first = await Edge.open(directory, core.port);
    await first.accept(texts('before ', 10));
    first.bridge.start(first);
    await until(() => first.spool.uplink.backlog === 0, 'the core has the first');
    await cp(directory, join(folder, 'copy'), { recursive: true });
    await first.accept(texts('forgotten ', 10));
    await until(() => first.spool.uplink.backlog === 0, 'the core has more than the copy');
    await first.close();
    const again = await Edge.open(join(folder, 'copy'), core.port);
    // More than the core is ahead by, so that counters alone would not tell.
    await again.accept(texts('after ', 15));
    again.bridge.start(again);
    await until(() => again.spool.uplink.backlog === 0, 'the core has the rest');
    const all = [...texts('before ', 10), ...texts('forgotten ', 10), ...texts('after ', 15)];
    assert.deepEqual(await logged(core), all);
    assert.notEqual(again.spool.uplink.epoch, first.spool.uplink.epoch);
    await again.close();
    await core.close();
  });
});

test('a core log put back from an old copy costs an edge nothing that is published after it', async () => {
  await withFolder(async (folder) => {
    const file = join(folder, 'log.db');
    const publish = (core: TestCore, names: string[]) =>
      core.fanout.publish(names.map((name) => publication(topic, name, { origin: 'elsewhere' })));
    let core = await openCore(file);
    const directory = join(folder, 'spool');
    const connect = async () => {
      const edge = await Edge.open(directory, core.port);
      edge.bridge.start(edge);
      await edge.bridge.onceConnected();
      return edge;
    };
    let edge = await connect();
    await publish(core, texts('before ', 10));
    await until(() => edge.texts.length === 10, 'the first');
    await core.close();
    await cp(file, `${file}.copy`);
    core = await openCore(file, { port: core.port });
    await edge.bridge.onceConnected();
    await publish(core, texts('forgotten ', 10));
    await until(() => edge.texts.length === 20, 'what the copy lacks');
    await edge.close();
    await core.close();
    core = await openCore(`${file}.copy`);
    edge = await connect();
    await publish(core, texts('seen ', 3));
    await until(() => edge.texts.length === 3, 'what comes while it is there');
    await edge.close();
    await publish(core, texts('kept ', 4));
    edge = await connect();
    await until(() => edge.texts.length === 4, 'what came while it was away');
    assert.deepEqual(edge.texts, texts('kept ', 4));
    await edge.close();
    await core.close();
  });
});

test('a core log put back from an old copy costs an edge nothing that was published while it was away', async () => {
  await withFolder(async (folder) => {
    const file = join(folder, 'log.db');
    const publish = (core: TestCore, names: string[]) =>
      core.fanout.publish(names.map((name) => publication(topic, name, { origin: 'elsewhere' })));
    let core = await openCore(file);
    const open = (name: string) => Edge.open(join(folder, name), core.port, { edgeId: name });
    const [late, early] = [await open('late'), await open('early')];
    const seen = (edge: Edge, count: number) =>
      until(() => edge.texts.length === count, `${count} came`);
    for (const edge of [late, early]) edge.bridge.start(edge);
    await Promise.all([late, early].map((edge) => edge.bridge.onceConnected()));
    await core.close();
    await cp(file, `${file}.copy`);
    core = await openCore(file, { port: core.port });
    await Promise.all([late, early].map((edge) => edge.bridge.onceConnected()));
    await publish(core, texts('forgotten ', 10));
    await Promise.all([seen(late, 10), seen(early, 10)]);
    await Promise.all([late.close(), early.close()]);
    await core.close();
    core = await openCore(`${file}.copy`);
    const first = await open('early');
    first.bridge.start(first);
    await first.bridge.onceConnected();
    // The log is longer than the late one knew it when that one is back.
    await publish(core, texts('new ', 15));
    await seen(first, 15);
    const second = await open('late');
    second.bridge.start(second);
    await seen(second, 15);
    for (const edge of [first, second]) assert.deepEqual(edge.texts, texts('new ', 15));
    await Promise.all([first.close(), second.close()]);
    await core.close();
  });
});

test('behind a damaged record of the spool everything goes up, and the loss is told', async () => {
  await withFolder(async (folder) => {
    const core = await openCore(join(folder, 'log.db'));
    const directory = join(folder, 'spool');
    const small = 8 * 1024; // Segments of 1 KiB.
    const first = await Edge.open(directory, core.port, { bytesMax: small });
    const all = texts(`${'x'.repeat(100)} `, 60);
    for (let at = 0; at < all.length; at += 5) await first.accept(all.slice(at, at + 5));
    await first.close();
    const names = (await readdir(directory)).filter((name) => name.endsWith('.spool')).sort();
    assert.ok(names.length > 6);
    const damaged = await openFile(join(directory, names[3] as string), 'r+');
    await damaged.write('damage', 300);
    await damaged.close();
    const again = await Edge.open(directory, core.port, { bytesMax: small });
    again.bridge.start(again);
    await until(() => again.spool.uplink.backlog === 0, 'the core has what is whole');
    const found = await logged(core);
    assert.ok(found.length >= 50 && found.length < 60, `${found.length} came`);
    assert.deepEqual(
      found,
      all.filter((text) => found.includes(text)),
    );
    await again.accept(['and so on']);
    await until(() => again.spool.uplink.backlog === 0, 'the next');
    assert.equal((await logged(core)).at(-1), 'and so on');
    await again.close();
    await core.close();
  });
});

test('a batch that is being written when the link breaks is told from what is new', async () => {
  await withFolder(async (folder) => {
    const file = join(folder, 'log.db');
    const core = await openCore(file);
    const proxy = await startProxy(core.port);
    opened.push(proxy);
    const edge = await Edge.open(join(folder, 'spool'), proxy.port);
    edge.bridge.start(edge);
    await edge.bridge.onceConnected();
    const other = await openSqlite(file, { synchronous: 'NORMAL' });
    try {
      await other.exec('BEGIN IMMEDIATE'); // The core's commits wait for this one to end.
      await edge.accept(texts('once ', 20), 2);
      await until(() => edge.spool.uplink.sentThrough(lane) === 20, 'all is sent');
      // The core has read it all when it answers what was sent after it.
      await new Promise((resolve) => setTimeout(resolve, 100));
      proxy.cut();
      await until(() => !edge.bridge.isConnected, 'the link is lost');
      await edge.bridge.onceConnected();
      await new Promise((resolve) => setTimeout(resolve, 100));
    } finally {
      await other.exec('ROLLBACK');
      await other.close();
    }
    await until(() => edge.spool.uplink.backlog === 0, 'all is acknowledged');
    assert.deepEqual(await logged(core), texts('once ', 20));
    assert.equal(core.parts.ledger.repeats.value, 20);
    await edge.close();
    proxy.close();
    await core.close();
  });
});
