/** A TCP proxy that counts its connections, cuts them all at once, or stops one direction. */
import { connect, createServer, type Socket } from 'node:net';

export interface TcpProxy {
  readonly port: number;
  /** Connections since the start. */
  readonly accepted: number;
  /** Connections open now. */
  readonly open: number;
  /** Destroys every connection; new ones are let through. */
  cut(): void;
  /** From now on nothing passes from the target to the clients. */
  freeze(): void;
  /** The connections open now pass nothing more that way, and stay open; new ones are whole. */
  deafen(end: 'target' | 'clients'): void;
  close(): void;
}

interface Pair {
  readonly client: Socket;
  readonly upstream: Socket;
  deaf: 'target' | 'clients' | null;
}

export async function startProxy(target: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  let accepted = 0;
  let isFrozen = false;
  const server = createServer((client) => {
    accepted++;
    const upstream = connect(target, '127.0.0.1');
    const pair: Pair = { client, upstream, deaf: null };
    pairs.add(pair);
    client.on('data', (chunk) => {
      if (pair.deaf !== 'target') upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (!isFrozen && pair.deaf !== 'clients') client.write(chunk);
    });
    for (const socket of [client, upstream]) {
      socket.on('error', () => {});
      socket.on('close', () => {
        pairs.delete(pair);
        client.destroy();
        upstream.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const cut = () => {
    for (const { client, upstream } of pairs) {
      client.destroy();
      upstream.destroy();
    }
  };
  return {
    port: address.port,
    get accepted() {
      return accepted;
    },
    get open() {
      return pairs.size;
    },
    cut,
    freeze: () => {
      isFrozen = true;
    },
    deafen: (end) => {
      for (const pair of pairs) pair.deaf = end;
    },
    close: () => {
      server.close();
      cut();
    },
  };
}
