/** Packet identifiers stay their message's own for as long as it is under way. */
import assert from 'node:assert/strict';
import { ackPacket, packetIdOf, publishPacket } from '../../support/raw-client.ts';
import type { ConformanceCase } from '../server.ts';
import { subscribeMany, types } from '../wire.ts';

export const identifierCases: readonly ConformanceCase[] = [
  {
    name: 'a packet identifier in use is not given out again when the numbers wrap',
    run: async (server) => {
      const raw = await server.session('keeper');
      raw.send(subscribeMany(1, [['w', 1]]));
      await raw.nextOf(types.suback);
      const sender = await server.session('sender');
      const one = publishPacket('w', 'x', { qos: 1, packetId: 1 });
      const burst = Buffer.concat(new Array(500).fill(one));
      sender.send(one);
      const held = packetIdOf(await raw.nextOf(types.publish));
      for (let seen = 0; seen < 66_000; seen++) {
        if (seen % 500 === 0) sender.send(burst);
        const id = packetIdOf(await raw.nextOf(types.publish));
        assert.ok(id !== held && id !== 0, 'an identifier in use was given out');
        raw.send(ackPacket(4, id));
      }
    },
    finding: /an identifier in use was given out/,
  },
];
