/** What a subscription gets: at which QoS, how often, and nothing that was not granted. */
import assert from 'node:assert/strict';
import type { TestClient } from '../../support/clients.ts';
import type { ConformanceCase, Server } from '../server.ts';
import { numbered, subscribeMany, types } from '../wire.ts';

function qosOf(client: TestClient): string[] {
  return client.received.map(({ text, qos }) => `${text} ${qos}`);
}

/** Subscribes raw and says whether the filter was granted. */
async function isGranted(server: Server, filter: string): Promise<boolean> {
  const raw = await server.session('asking');
  raw.send(subscribeMany(1, [[filter, 1]]));
  const suback = await server.nextOf(raw, types.suback);
  raw.destroy();
  return suback !== null && (suback.body[2] ?? 0x80) < 0x80;
}

export const subscriptionCases: readonly ConformanceCase[] = [
  {
    name: 'a wildcard subscription gets live messages at no more than its QoS',
    run: async (server) => {
      const [watcher, sender] = [await server.connect(), await server.connect()];
      await watcher.subscribe('q/+', 1);
      await sender.publish('q/a', 'two', { qos: 2 });
      await watcher.expect(1, server.patienceMs);
      assert.deepEqual(qosOf(watcher), ['two 1'], 'QoS above the grant');
    },
    finding: /QoS above the grant/,
  },
  {
    name: 'a wildcard subscription gets queued messages at no more than its QoS',
    run: async (server) => {
      await server.away('keeper', 'q/+', 1);
      const sender = await server.connect();
      await sender.publish('q/a', 'two', { qos: 2 });
      const keeper = await server.connect({ clientId: 'keeper', clean: false });
      await keeper.expect(1, server.patienceMs);
      assert.deepEqual(qosOf(keeper), ['two 1'], 'QoS above the grant');
    },
    finding: /QoS above the grant/,
  },
  {
    name: 'a wildcard subscription gets retained messages at no more than its QoS',
    run: async (server) => {
      const [watcher, sender] = [await server.connect(), await server.connect()];
      await sender.publish('q/a', 'two', { qos: 2, retain: true });
      await watcher.subscribe('q/+', 1);
      await watcher.expect(1, server.patienceMs);
      assert.deepEqual(qosOf(watcher), ['two 1'], 'QoS above the grant');
    },
    finding: /QoS above the grant/,
  },
  {
    name: 'overlapping subscriptions deliver once, at the best QoS among them',
    run: async (server) => {
      const [watcher, sender] = [await server.connect(), await server.connect()];
      await watcher.subscribe('o/#', 0);
      await watcher.subscribe('o/+', 1);
      await sender.publish('o/a', 'two', { qos: 2 });
      await watcher.roundTrip();
      assert.deepEqual(qosOf(watcher), ['two 1'], 'not once at QoS 1');
    },
    finding: /not once at QoS 1/,
  },
  {
    name: 'a kept session with overlapping subscriptions gets each message of a burst once',
    run: async (server) => {
      const watcher = await server.connect({ clientId: 'overlap', clean: false });
      await watcher.subscribe(['burst/#', 'burst/+', 'burst/x'], 1);
      const sender = await server.connect();
      const sent = numbered(300);
      const published = sent.map((text) => sender.publish('burst/x', text, { qos: 1 }));
      await server.within(Promise.all(published));
      await watcher.expect(300, server.patienceMs).catch(() => {});
      assert.deepEqual(watcher.texts, sent, 'lost, doubled or out of order');
    },
    finding: /lost, doubled or out of order/,
  },
  {
    name: 'a denied filter beside an allowed one is not stored with it',
    run: async (server) => {
      const raw = await server.session('keeper', false);
      raw.send(
        subscribeMany(1, [
          ['allowed', 1],
          ['$denied/#', 1],
        ]),
      );
      const suback = await server.nextOf(raw, types.suback);
      assert.deepEqual(suback?.body.subarray(2), Buffer.of(1, 0x80));
      raw.destroy();
      await raw.closed;
      await server.inject('$denied/x', 'no');
      await server.inject('allowed', 'yes');
      const keeper = await server.connect({ clientId: 'keeper', clean: false });
      await keeper.expect(1, server.patienceMs);
      await keeper.roundTrip();
      assert.deepEqual(keeper.texts, ['yes'], 'got what was denied');
    },
    finding: /got what was denied/,
  },
  {
    name: 'a subscription to # of a kept session does not get topics that begin with $',
    run: async (server) => {
      await server.away('keeper', '#', 1);
      await server.inject('$internal/x', 'no');
      await server.inject('plain', 'yes');
      const keeper = await server.connect({ clientId: 'keeper', clean: false });
      await keeper.expect(1, server.patienceMs);
      await keeper.roundTrip();
      assert.deepEqual(keeper.texts, ['yes'], 'a $-topic came through #');
    },
    finding: /a \$-topic came through #/,
  },
  ...emptyLevels(),
  ...['a+', 'a#'].map(
    (filter): ConformanceCase => ({
      name: `the filter ${filter} is not granted`,
      run: async (server) => {
        assert.equal(await isGranted(server, filter), false, 'granted');
      },
      finding: /granted/,
    }),
  ),
];

function emptyLevels(): ConformanceCase[] {
  const missed = { finding: /\+ missed an empty level/ };
  return [
    {
      name: '+ matches an empty level, for what was queued',
      run: async (server) => {
        await server.away('keeper', ['+/x', 'p/+/x'], 1);
        const sender = await server.connect();
        await sender.publish('/x', 'first', { qos: 1 });
        await sender.publish('p//x', 'second', { qos: 1 });
        const keeper = await server.connect({ clientId: 'keeper', clean: false });
        await keeper.expect(2, server.patienceMs).catch(() => {});
        assert.deepEqual(keeper.texts, ['first', 'second'], '+ missed an empty level');
      },
      ...missed,
    },
    {
      name: '+ matches an empty level, for what is retained',
      run: async (server) => {
        const [watcher, sender] = [await server.connect(), await server.connect()];
        await sender.publish('/x', 'first', { qos: 1, retain: true });
        await watcher.subscribe('+/x', 1);
        await watcher.expect(1, server.patienceMs).catch(() => {});
        assert.deepEqual(watcher.texts, ['first'], '+ missed an empty level');
      },
      ...missed,
    },
    {
      name: '+ matches an empty level, live for a kept session, which stays connected',
      run: async (server) => {
        const keeper = await server.connect({ clientId: 'keeper', clean: false });
        await keeper.subscribe('+/x', 1);
        const sender = await server.connect();
        await sender.publish('/x', 'first', { qos: 1 });
        await keeper.expect(1, server.patienceMs).catch(() => {});
        assert.deepEqual(keeper.texts, ['first'], '+ missed an empty level');
        await server.within(keeper.roundTrip());
        assert.equal(keeper.mqtt.connected, true, '+ missed an empty level: disconnected');
      },
      ...missed,
    },
  ];
}
