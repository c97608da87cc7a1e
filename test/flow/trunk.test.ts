/**
 * Both ends of the trunk over real sockets: what one edge accepts reaches the others that want it,
 * in order, once, and whatever the link does in between.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { laneOf } from '../../base/topic.ts';
import { Session } from '../../proto/gen/trunkline/v1/session.ts';
import { startProxy } from '../support/proxy.ts';
import { publication, TestCore, TestEdge, withFolder } from '../support/trunk-world.ts';
import { until } from '../support/until.ts';

/** Opens a core and edges, and closes them whatever happens. */
async function withTrunk(
  work: (world: {
    core: TestCore;
    file: string;
    edge: (id: string, port?: number) => Promise<TestEdge>;
  }) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const file = join(folder, 'log.db');
    const core = await TestCore.open(file);
    const edges: TestEdge[] = [];
    try {
      await work({
        core,
        file,
        edge: async (id, port = core.port) => {
          const edge = new TestEdge(id, port);
          edges.push(edge);
          return await edge.start();
        },
      });
    } finally {
      for (const edge of edges) await edge.bridge.close();
      await core.close();
    }
  });
}

const laneOfTopic = laneOf('x/y');

function sessionOf(clientId: string): Session {
  return { ...Session.decode(new Uint8Array()), clientId };
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => String(i));

test('each QoS crosses from edge to edge, in order, and nothing returns to its origin', async () => {
  await withTrunk(async ({ core, edge }) => {
    const a = await edge('a');
    const b = await edge('b');
    assert.equal(await a.want('fleet/#'), true);
    assert.equal(await b.want('fleet/+/speed'), true);
    await until(() => core.sink.events.includes('interest b 1'), 'interest of b');
    a.spool.append(numbers(1_500).map((n) => publication('fleet/1/speed', n, { qos: 1 })));
    a.spool.append(numbers(700).map((n) => publication('fleet/2/speed', n, { qos: 2 })));
    a.spool.append([publication('fleet/1/unwanted', 'x')]);
    // Wanted filters come down at their own pace; QoS 0 before that stays at home.
    await until(() => {
      a.bridge.offer(publication('fleet/3/speed', 'probe', { qos: 0 }));
      return b.payloads('fleet/3/speed').length > 0;
    }, 'QoS 0');
    for (const n of numbers(300)) a.bridge.offer(publication('fleet/4/speed', n, { qos: 0 }));
    await until(() => b.payloads('fleet/4/speed').length === 300, 'all of QoS 0');
    await b.receives(2_200);
    await until(() => b.payloads('fleet/2/speed').length === 700, 'all of QoS 2');
    assert.deepEqual(b.payloads('fleet/1/speed'), numbers(1_500));
    assert.deepEqual(b.payloads('fleet/2/speed'), numbers(700));
    assert.deepEqual(b.payloads('fleet/4/speed'), numbers(300));
    assert.deepEqual(b.payloads('fleet/1/unwanted'), []);
    const qosOf = (topic: string) =>
      new Set(
        b.received.filter((r) => r.publication.topic === topic).map((r) => r.publication.qos),
      );
    assert.deepEqual([...qosOf('fleet/2/speed')], [2]);
    assert.equal(a.received.length, 0);
    assert.ok(b.received.every((item) => item.publication.origin === 'a'));
    await until(() => a.spool.backlog === 0, 'everything acknowledged');
  });
});

test('a late interest gets retained messages first, with no position', async () => {
  await withTrunk(async ({ edge }) => {
    const a = await edge('a');
    const b = await edge('b');
    a.spool.append([
      publication('room/1', 'old', { retain: true }),
      publication('room/1', 'new', { retain: true, qos: 0 }),
      publication('room/2', 'two', { retain: true, qos: 2 }),
      publication('room/2', 'passing'),
    ]);
    await until(() => a.spool.backlog === 0, 'the core has them');
    assert.equal(await b.want('room/#'), true);
    const seen = b.received
      .map(({ position, publication: { topic, payload, qos, retain } }) => {
        return [topic, payload.toString(), qos, retain, position];
      })
      .sort();
    assert.deepEqual(seen, [
      ['room/1', 'new', 0, true, 0],
      ['room/2', 'two', 2, true, 0],
    ]);
    a.spool.append([publication('room/1', 'live', { retain: true })]);
    await b.receives(3);
    assert.equal(b.received[2]?.publication.retain, true);
    assert.ok((b.received[2]?.position ?? 0) > 0);
    b.bridge.unwant('room/#');
    assert.equal(await b.want('room/#'), true);
    assert.equal(b.payloads('room/2').length, 2);
  });
});

test('a core that goes and comes back loses nothing and repeats nothing', async () => {
  await withTrunk(async ({ core, file, edge }) => {
    const a = await edge('a');
    const b = await edge('b');
    await b.want('#');
    const { port } = core;
    let sent = 0;
    const burst = (count: number) => {
      a.spool.append(numbers(count).map(() => publication(`t/${sent % 7}`, String(sent++))));
    };
    burst(3_000);
    await b.receives(100);
    await core.close();
    burst(2_000);
    await until(() => !a.bridge.isConnected && !b.bridge.isConnected, 'the link is lost');
    burst(2_000);
    const again = await TestCore.open(file, { port });
    try {
      await Promise.all([a.bridge.onceConnected(), b.bridge.onceConnected()]);
      burst(1_000);
      await b.receives(8_000);
      await until(() => a.spool.backlog === 0, 'everything acknowledged');
      for (let k = 0; k < 7; k++) {
        const expected = numbers(8_000).filter((n) => Number(n) % 7 === k);
        assert.deepEqual(b.payloads(`t/${k}`), expected);
      }
      assert.equal(again.parts.metrics.text().includes('trunkline_lane_gaps_total 0'), true);
    } finally {
      await b.bridge.close();
      await a.bridge.close();
      await again.close();
    }
  });
});

test('cut connections, while the broker is slow to take what came, lose and repeat nothing', async () => {
  await withTrunk(async ({ core, edge }) => {
    const proxy = await startProxy(core.port);
    try {
      const a = await edge('a', proxy.port);
      const b = await edge('b', proxy.port);
      await b.want('#');
      let sent = 0;
      for (let round = 0; round < 4; round++) {
        let open: () => void = () => {};
        b.gate = new Promise((resolve) => {
          open = resolve;
        });
        a.spool.append(numbers(700).map(() => publication('x/y', String(sent++))));
        await until(() => core.backplane.head(laneOfTopic) > 350 + round * 700, 'some of it');
        const lost = until(() => !b.bridge.isConnected, 'the link is lost');
        proxy.cut();
        await lost;
        await Promise.all([a.bridge.onceConnected(), b.bridge.onceConnected()]);
        // What was handed over on the first link is still on its way when the core sends it again.
        b.gate = null;
        open();
      }
      await b.receives(sent);
      await until(() => a.spool.backlog === 0, 'everything acknowledged');
      assert.deepEqual(b.payloads('x/y'), numbers(sent));
    } finally {
      proxy.close();
    }
  });
});

test('an edge has two connections to the core, whatever it sends', async () => {
  await withTrunk(async ({ core, edge }) => {
    const proxy = await startProxy(core.port);
    try {
      const a = await edge('a', proxy.port);
      const b = await edge('b');
      await b.want('#');
      a.spool.append(numbers(2_000).map((n) => publication(`device/${n}`, n)));
      await b.receives(2_000);
      assert.deepEqual([proxy.accepted, proxy.open], [2, 2]);
    } finally {
      proxy.close();
    }
  });
});

test('what an edge wanted while it was away comes from the log when it is back', async () => {
  await withTrunk(async ({ core, edge }) => {
    const a = await edge('a');
    const b = await edge('b');
    await b.want('log/+');
    a.spool.append([publication('log/1', 'before')]);
    await b.receives(1);
    await b.bridge.close();
    a.spool.append(numbers(1_200).map((n) => publication('log/1', n)));
    await core.fanout.publish([publication('log/1', 'from the core', { origin: 'core-1' })]);
    await until(() => a.spool.backlog === 0, 'the core has them');
    const back = new TestEdge('b', core.port, { spool: b.spool });
    back.filters.add('log/+');
    await back.start();
    await back.receives(1_201);
    assert.deepEqual(
      back.payloads('log/1').filter((text) => text !== 'from the core'),
      numbers(1_200),
    );
    await back.bridge.close();
  });
});

test('the core hears of sessions: a snapshot, then what changed, joined', async () => {
  await withTrunk(async ({ core, edge }) => {
    const a = await edge('a');
    const listed = () => [...(core.sink.sessions.get('a') ?? [])].sort();
    await until(() => core.sink.events.includes('end a'), 'the snapshot');
    a.bridge.sessionChanged(sessionOf('one'));
    a.bridge.sessionChanged(sessionOf('two'));
    a.bridge.sessionRemoved('one');
    await until(() => listed().join() === 'two', 'the changes');
    for (let i = 0; i < 1_200; i++) a.local.set(`s${i}`, sessionOf(`s${i}`));
    await a.bridge.close();
    const again = new TestEdge('a', core.port, { spool: a.spool });
    for (const [id, one] of a.local) again.local.set(id, one);
    await again.start();
    await until(() => listed().length === 1_200, 'the new snapshot');
    await until(() => core.sink.events.includes('stats a'), 'totals');
    await again.bridge.close();
    await until(() => core.sink.events.at(-1) === 'detached a', 'the end');
  });
});
