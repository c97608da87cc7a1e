/** Messages of one publisher keep their order and all arrive, whatever QoS stands beside which. */
import assert from 'node:assert/strict';
import { ackPacket, packetIdOf, publishPacket, type RawClient } from '../../support/raw-client.ts';
import type { ConformanceCase, Server } from '../server.ts';
import { numbered, types } from '../wire.ts';

/** Acknowledges for the sender until so many messages are through; answers how many were. */
async function complete(server: Server, raw: RawClient, count: number): Promise<number> {
  let done = 0;
  const take = async () => {
    while (done < count) {
      const { type, ...one } = await raw.next();
      if (type === types.pubrec) raw.send(ackPacket(6, packetIdOf({ type, ...one })));
      if (type === types.puback || type === types.pubcomp) done++;
    }
  };
  await server.within(take().catch(() => {}));
  return done;
}

interface Mix {
  readonly kinds: readonly (0 | 1 | 2)[];
  readonly rounds: number;
  /** Milliseconds between one message and the next. */
  readonly paceMs: number;
}

/** Interleaves messages of these QoS, and sees that each arrives in the order of its own QoS. */
async function mixed(server: Server, { kinds, rounds, paceMs }: Mix): Promise<void> {
  const watcher = await server.connect({ clientId: 'watcher', clean: false });
  await watcher.subscribe('mix/+', 2);
  const raw = await server.session('sender');
  const frames: Buffer[] = [];
  let packetId = 0;
  for (let i = 0; i < rounds; i++) {
    for (const qos of kinds) {
      if (qos > 0) packetId++;
      frames.push(publishPacket('mix/x', `${qos} ${i}`, { qos, packetId: qos > 0 ? packetId : 0 }));
    }
  }
  for (const frame of frames) {
    raw.send(frame);
    await new Promise((resolve) => setTimeout(resolve, paceMs));
  }
  assert.equal(await complete(server, raw, packetId), packetId, 'not everything is acknowledged');
  await watcher.expect(rounds * kinds.length, server.patienceMs).catch(() => {});
  for (const qos of kinds) {
    const got = watcher.texts.filter((one) => one.startsWith(`${qos} `));
    const sent = numbered(rounds, `${qos} `);
    assert.deepEqual(got, sent, `of QoS ${qos} ${got.length} of ${sent.length} arrived`);
  }
}

export const orderCases: readonly ConformanceCase[] = [
  {
    name: 'QoS 1 behind a store of 20 ms arrives whole though QoS 0 overtakes it',
    run: async (server) => {
      server.store.delay(20);
      await mixed(server, { kinds: [1, 0], rounds: 50, paceMs: 3 });
    },
    finding: /of QoS 1 \d+ of 50 arrived/,
  },
  {
    name: 'QoS 0, 1 and 2 mixed over a store of 5 ms all arrive, each in its order',
    run: async (server) => {
      server.store.delay(5);
      await mixed(server, { kinds: [1, 2, 0], rounds: 100, paceMs: 1 });
    },
    finding: /of QoS [12] \d+ of 100 arrived/,
  },
  {
    name: 'a retained message of QoS 0 and a plain one right behind it arrive in that order',
    run: async (server) => {
      const watcher = await server.connect();
      await watcher.subscribe('rp/#');
      const raw = await server.session('sender');
      const sent = numbered(20);
      const frames = sent.map((text, i) => publishPacket('rp/x', text, { retain: i % 2 === 0 }));
      raw.send(Buffer.concat(frames));
      await watcher.expect(20, server.patienceMs).catch(() => {});
      assert.deepEqual(watcher.texts, sent, 'lost or out of order');
    },
    finding: /lost or out of order/,
  },
  {
    name: 'a session that resumes gets what waited before what comes, in order',
    run: async (server) => {
      const count = 2_000;
      await server.away('keeper', 'r', 1);
      const sender = await server.connect();
      const sent = numbered(count);
      const published: Promise<void>[] = [];
      const publish = (texts: readonly string[]) => {
        for (const text of texts) published.push(sender.publish('r', text, { qos: 1 }));
      };
      publish(sent.slice(0, 1_000));
      await Promise.all(published);
      const keeper = server.connect({ clientId: 'keeper', clean: false });
      for (let at = 1_000; at < count; at += 10) {
        publish(sent.slice(at, at + 10));
        await new Promise((resolve) => setImmediate(resolve));
      }
      const back = await keeper;
      await back.expect(count, server.patienceMs).catch(() => {});
      assert.deepEqual(back.texts, sent, 'lost, doubled or out of order');
    },
    finding: /lost, doubled or out of order/,
  },
];
