/** A plain Aedes on a free port: a broker that is not ours, and that a test can make misbehave. */
import { createServer, type Socket } from 'node:net';
import { Aedes, type AedesPublishPacket } from 'aedes';
import { freePort } from './ports.ts';

export interface PlainBroker {
  readonly port: number;
  /** Decides for each delivery whether it takes place; what is held back is never delivered. */
  holdBack: (packet: AedesPublishPacket) => boolean;
  /** Cuts every connection without a word. */
  cutAll(): void;
  close(): Promise<void>;
}

export interface PlainBrokerOptions {
  /** Lets in this user alone. */
  readonly user?: { readonly name: string; readonly password: string };
}

export async function openPlainBroker(options: PlainBrokerOptions = {}): Promise<PlainBroker> {
  const aedes = await Aedes.createBroker({ concurrency: 1_000 });
  const { user } = options;
  if (user !== undefined) {
    aedes.authenticate = (_client, name, password, done) => {
      done(null, name === user.name && password?.toString() === user.password);
    };
  }
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    aedes.handle(socket);
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const broker: PlainBroker = {
    port,
    holdBack: () => false,
    cutAll: () => {
      for (const socket of sockets) socket.destroy();
    },
    close: async () => {
      await new Promise<void>((resolve) => aedes.close(() => resolve()));
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  aedes.authorizeForward = (_client, packet) => (broker.holdBack(packet) ? null : packet);
  return broker;
}
