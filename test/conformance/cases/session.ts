/** What a session keeps and says of itself when its client comes back. */
import assert from 'node:assert/strict';
import {
  ackPacket,
  connectPacket,
  packetIdOf,
  payloadOf,
  type RawClient,
} from '../../support/raw-client.ts';
import { until } from '../../support/until.ts';
import type { ConformanceCase, Server } from '../server.ts';
import { cleanFlag, connectWith, numbered, subscribeMany, text, types, willFlag } from '../wire.ts';

async function subscribed(server: Server, clientId: string, filter: string, qos: number) {
  const raw = await server.session(clientId, false);
  raw.send(subscribeMany(1, [[filter, qos]]));
  assert.notEqual(await server.nextOf(raw, types.suback), null);
  return raw;
}

const queueMax = 100;

export const sessionCases: readonly ConformanceCase[] = [
  {
    name: 'what waits for an absent session is bounded',
    limits: { queue_messages: queueMax },
    run: async (server) => {
      await server.away('keeper', 'b', 1);
      const sender = await server.connect();
      const sent = numbered(3 * queueMax);
      await Promise.all(sent.map((one) => sender.publish('b', one, { qos: 1 })));
      const keeper = await server.connect({ clientId: 'keeper', clean: false });
      await keeper.expect(queueMax, server.patienceMs);
      await keeper.roundTrip();
      assert.deepEqual(keeper.texts, sent.slice(0, queueMax), 'more waited than the bound');
    },
    finding: /more waited than the bound/,
  },
  {
    name: 'of many connects at once with one client identifier one connection is left',
    run: async (server) => {
      const raws = await Promise.all(Array.from({ length: 200 }, () => server.raw()));
      let open = raws.length;
      for (const raw of raws) void raw.closed.then(() => open--);
      // While each is let in, its will is stored.
      server.store.delay(5);
      const flags = cleanFlag | willFlag;
      const connect = connectWith(flags, text('crowd'), text('will'), text('gone'));
      for (const raw of raws) {
        raw.send(Buffer.concat([connect, subscribeMany(1, [['crowd/+', 1]])]));
      }
      await until(() => open <= 1, 'one is left', server.patienceMs);
      const rest = raws.find((raw) => !raw.socket.destroyed) as RawClient;
      assert.equal((await server.nextOf(rest, types.connack))?.body[1], 0);
    },
    finding: /one is left/,
  },
  {
    name: 'a message that is sent again after a reconnect has the DUP flag',
    run: async (server) => {
      const first = await subscribed(server, 'keeper', 'd', 1);
      const sender = await server.connect();
      await sender.publish('d', 'x', { qos: 1 });
      const sent = await server.nextOf(first, types.publish);
      assert.equal((sent?.flags ?? 8) & 8, 0);
      first.destroy();
      await first.closed;
      const second = await server.session('keeper', false);
      const again = await server.nextOf(second, types.publish);
      assert.equal((again?.flags ?? 0) & 8, 8, 'no DUP');
    },
    finding: /no DUP/,
  },
  {
    name: 'session present is true for a kept session without subscriptions',
    run: async (server) => {
      const present: unknown[] = [];
      for (let i = 0; i < 2; i++) {
        const raw = await server.raw();
        raw.send(connectPacket('bare', { clean: false }));
        present.push((await server.nextOf(raw, types.connack))?.body[0]);
        raw.destroy();
        await raw.closed;
      }
      assert.deepEqual(present, [0, 1], 'session present does not tell');
    },
    finding: /session present does not tell/,
  },
  {
    name: 'two deliveries of QoS 2 that were completed side by side are not sent again',
    run: async (server) => {
      const first = await subscribed(server, 'keeper', 's', 2);
      const sender = await server.connect();
      await sender.publish('s', 'a', { qos: 2 });
      await sender.publish('s', 'b', { qos: 2 });
      const ids: number[] = [];
      for (let i = 0; i < 2; i++) ids.push(packetIdOf(await first.nextOf(types.publish)));
      first.send(Buffer.concat(ids.map((id) => ackPacket(5, id))));
      for (let i = 0; i < 2; i++) await first.nextOf(types.pubrel);
      first.send(Buffer.concat(ids.toReversed().map((id) => ackPacket(7, id))));
      first.send(Buffer.of(0xc0, 0));
      await first.nextOf(types.pingresp);
      first.destroy();
      await first.closed;
      const second = await server.session('keeper', false);
      await sender.publish('s', 'c', { qos: 2 });
      const next = await second.next();
      const what = next.type === types.publish ? payloadOf(next) : `type ${next.type}`;
      assert.equal(what, 'c', 'sent again');
    },
    finding: /sent again/,
  },
  {
    name: 'CONNACK is the first packet that a client gets, also while its session is busy',
    run: async (server) => {
      const first = await subscribed(server, 'keeper', 'c/#', 0);
      first.destroy();
      await first.closed;
      const sender = await server.connect();
      // The will has to be stored before CONNACK, and that takes a while.
      server.store.delay(100);
      const raw = await server.raw();
      raw.send(connectWith(willFlag, text('keeper'), text('will'), text('gone')));
      for (let i = 0; i < 100; i++) {
        await sender.publish('c/x', 'live');
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      assert.equal((await raw.next()).type, types.connack, 'something came before CONNACK');
    },
    finding: /something came before CONNACK/,
  },
  {
    name: 'a will that a dead process left is published by the next',
    run: async (server) => {
      await server.away('keeper', 'will', 1);
      const raw = await server.raw();
      const flags = cleanFlag | willFlag | 0x08;
      raw.send(connectWith(flags, text('device'), text('will'), text('gone')));
      assert.equal((await server.nextOf(raw, types.connack))?.body[1], 0);
      await server.restart();
      const keeper = await server.connect({ clientId: 'keeper', clean: false });
      await keeper.expect(1, server.patienceMs).catch(() => {});
      assert.deepEqual(keeper.texts, ['gone'], 'the will was not published');
    },
    finding: /the will was not published/,
  },
];
