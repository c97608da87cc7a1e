/** What a client may do to the process: nothing. */
import assert from 'node:assert/strict';
import { publishPacket } from '../../support/raw-client.ts';
import type { ConformanceCase } from '../server.ts';
import { subscribeMany, types } from '../wire.ts';

export const survivalCases: readonly ConformanceCase[] = [
  {
    name: 'a backlog of messages that nobody wants any more does not end the process',
    run: async (server) => {
      const frozen = await server.session('frozen');
      frozen.send(subscribeMany(1, [['flood/#', 0]]));
      await frozen.nextOf(types.suback);
      frozen.socket.pause();
      const flood = publishPacket('flood/x', 'x'.repeat(60_000));
      const publishers = [];
      for (let i = 0; i < 150; i++) {
        const raw = await server.session(`publisher-${i}`);
        for (let n = 0; n < 4; n++) raw.send(flood);
        publishers.push(raw);
      }
      const unwanted = publishPacket('unwanted/x', 'x');
      for (let i = 0; i < 150; i++) {
        publishers[i]?.send(Buffer.concat(new Array(100).fill(unwanted)));
      }
      // All of it has been taken in when a later connection has been served.
      const late = await server.session('late');
      frozen.destroy();
      late.send(Buffer.of(0xc0, 0));
      await server.nextOf(late, types.pingresp);
      const probe = await server.connect().catch(() => null);
      assert.notEqual(probe, null, 'the process is gone');
      await server.within(probe?.roundTrip() ?? Promise.resolve());
      assert.equal(probe?.mqtt.connected, true, 'the process is gone');
    },
    finding: /the process is gone/,
  },
];
