/** An acknowledgement is a promise: what it covers is stored, and stays one message. */
import assert from 'node:assert/strict';
import { ackPacket, publishPacket, type RawClient } from '../../support/raw-client.ts';
import type { ConformanceCase, Server } from '../server.ts';
import { pingReq, types } from '../wire.ts';

/** Publishes as a client does that repeats until it is acknowledged. */
async function persist(
  server: Server,
  send: { qos: 1 | 2; packetId: number; topic: string; text: string },
): Promise<RawClient> {
  const { topic, text, qos, packetId } = send;
  const answer = qos === 1 ? types.puback : types.pubrec;
  let raw = await server.session('sender', false);
  raw.send(publishPacket(topic, text, { qos, packetId }));
  for (let attempt = 0; attempt < 3; attempt++) {
    if ((await server.nextOf(raw, answer)) !== null) return raw;
    raw.destroy();
    raw = await server.session('sender', false);
    raw.send(publishPacket(topic, text, { qos, packetId, dup: true }));
  }
  throw new Error('never acknowledged');
}

async function release(server: Server, raw: RawClient, packetId: number): Promise<void> {
  raw.send(ackPacket(6, packetId));
  assert.notEqual(await server.nextOf(raw, types.pubcomp), null, 'no PUBCOMP');
}

/** What the kept session "keeper" is given when it comes back. */
async function kept(server: Server): Promise<string[]> {
  const keeper = await server.connect({ clientId: 'keeper', clean: false });
  await keeper.expect(1, server.patienceMs).catch(() => {});
  await keeper.roundTrip();
  return keeper.texts;
}

export const acknowledgementCases: readonly ConformanceCase[] = [
  {
    name: 'a PUBACK leaves only after the message is stored',
    run: async (server) => {
      await server.away('keeper', 'a', 1);
      const raw = await server.session('sender');
      const goOn = server.store.hold();
      raw.send(publishPacket('a', 'x', { qos: 1, packetId: 1 }));
      raw.send(pingReq);
      const first = await raw.next();
      goOn();
      assert.equal(first.type, types.pingresp, 'acknowledged before it was stored');
      assert.equal((await raw.next()).type, types.puback);
    },
    finding: /acknowledged before it was stored/,
  },
  {
    name: 'a message of QoS 1 whose storing fails at first is delivered once it is acknowledged',
    run: async (server) => {
      await server.away('keeper', 'a', 1);
      server.store.failOnce();
      await persist(server, { topic: 'a', text: 'x', qos: 1, packetId: 1 });
      const texts = await kept(server);
      assert.ok(texts.includes('x'), 'acknowledged and not delivered');
    },
    finding: /acknowledged and not delivered/,
  },
  {
    name: 'a message of QoS 2 whose storing fails at first is delivered exactly once',
    run: async (server) => {
      await server.away('keeper', 'a', 2);
      server.store.failOnce();
      const raw = await persist(server, { topic: 'a', text: 'x', qos: 2, packetId: 7 });
      await release(server, raw, 7);
      assert.deepEqual(await kept(server), ['x'], 'completed and not delivered once');
    },
    finding: /completed and not delivered once/,
  },
];
