/** The contract of backplanes, kept by NATS JetStream on one server. */
import { before } from 'node:test';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { natsOptions, newPrefix, openNats } from '../support/nats-world.ts';
import { backplaneContract } from './backplane-contract.ts';

let server: NatsServer;

before(async () => {
  server = await startNats();
});

backplaneContract('NATS', async () => {
  const prefix = newPrefix();
  return {
    open: () => openNats(natsOptions([server.url], { prefix })),
    end: async () => {},
  };
});
