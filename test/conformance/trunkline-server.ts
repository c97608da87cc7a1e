/** Trunkline's edge in this process, for the cases. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { laneOf } from '../../base/topic.ts';
import { openLocalBroker } from '../support/local-broker.ts';
import { slowDisk } from '../support/slow-disk.ts';
import { Server } from './server.ts';

export async function openTrunkline(limits: Readonly<Record<string, number>>): Promise<Server> {
  let edge = await openLocalBroker({ limits });
  const opened = [edge];
  let position = 0;
  return new Server({
    port: edge.port,
    store: slowDisk,
    patienceMs: 10_000,
    inject: async (topic, payload) => {
      const publication = {
        ...({ topic, payload: Buffer.from(payload), qos: 1, retain: false } as const),
        ...{ properties: null, acceptedAt: Date.now(), origin: 'elsewhere' },
      };
      const from = { lane: laneOf(topic), logEpoch: 'elsewhere' };
      await edge.broker.localDelivery.deliver(from, [
        { publication, position: ++position, from: null },
      ]);
    },
    restart: async () => {
      // The folder as it is at this moment is what a start after a crash would find.
      const copy = await mkdtemp(join(tmpdir(), 'trunkline-crash-'));
      await cp(edge.data, copy, { recursive: true });
      edge = await openLocalBroker({ limits }, copy);
      opened.push(edge);
      return edge.port;
    },
    close: async () => {
      slowDisk.restore();
      for (const one of opened) {
        await one.close();
        await rm(one.data, { recursive: true, force: true });
      }
    },
  });
}
