/** One client's load, haste or silence costs nobody else, and itself no more than it must. */
import assert from 'node:assert/strict';
import { connectPacket, publishPacket } from '../../support/raw-client.ts';
import type { ConformanceCase } from '../server.ts';
import { numbered, subscribeMany, types } from '../wire.ts';

const retainedCount = 20_000;
const lookups = 200;

export const boundsCases: readonly ConformanceCase[] = [
  {
    name: 'a subscriber that does not read stops no other traffic',
    run: async (server) => {
      const frozen = await server.session('frozen');
      frozen.send(subscribeMany(1, [['flood/#', 0]]));
      await frozen.nextOf(types.suback);
      frozen.socket.pause();
      const [watcher, sender] = [await server.connect(), await server.connect()];
      await watcher.subscribe('calm', 0);
      const flood = publishPacket('flood/x', 'x'.repeat(60_000));
      for (let i = 0; i < 150; i++) {
        const raw = await server.session(`publisher-${i}`);
        for (let n = 0; n < 4; n++) raw.send(flood);
      }
      for (const text of numbered(50)) sender.mqtt.publish('calm', text);
      await watcher.expect(50, server.patienceMs).catch(() => {});
      assert.deepEqual(watcher.texts, numbered(50), 'other traffic stopped');
    },
    finding: /other traffic stopped/,
  },
  {
    name: 'a CONNECT that claims 256 MiB is not waited for',
    run: async (server) => {
      const raw = await server.raw();
      raw.send(Buffer.of(0x10, 0xff, 0xff, 0xff, 0x7f));
      raw.send(Buffer.alloc(64 * 1024));
      assert.equal(await server.isClosed(raw), true, 'still taking it in');
    },
    finding: /still taking it in/,
  },
  {
    name: 'looking up retained messages of single topics does not slow down with their number',
    run: async (server) => {
      const sender = await server.session('sender');
      const frames = numbered(retainedCount).map((one) =>
        publishPacket(`kept/${one}`, one, { retain: true }),
      );
      // The last message of QoS 1 says that those before it are in.
      frames.push(publishPacket('kept/last', 'x', { qos: 1, packetId: 1, retain: true }));
      for (let at = 0; at < frames.length; at += 500) {
        sender.send(Buffer.concat(frames.slice(at, at + 500)));
      }
      await sender.nextOf(types.puback);
      const watcher = await server.session('watcher');
      const from = performance.now();
      const filters = numbered(lookups).map((one): [string, number] => [`kept/1${one}`, 0]);
      watcher.send(subscribeMany(1, filters));
      for (let i = 0; i < lookups; i++) await server.nextOf(watcher, types.publish);
      const ms = performance.now() - from;
      assert.ok(ms < 1_000, `${lookups} look-ups took ${Math.round(ms)} ms`);
    },
    finding: /look-ups took/,
  },
  {
    name: 'a client that sends 60 KB of small messages right behind CONNECT is served',
    run: async (server) => {
      const watcher = await server.connect();
      await watcher.subscribe('burst', 0);
      const sent = numbered(4_000);
      const raw = await server.raw();
      const frames = sent.map((one) => publishPacket('burst', one));
      raw.send(Buffer.concat([connectPacket('hasty'), ...frames]));
      await watcher.expect(sent.length, server.patienceMs).catch(() => {});
      assert.deepEqual(watcher.texts, sent, 'not served');
    },
    finding: /not served/,
  },
];
