/**
 * A TCP proxy that cuts each connection after so many bytes, in whichever direction they go, and at
 * any byte: what came before it in the same chunk is passed on, what comes after is not.
 */
import { connect, createServer, type Socket } from 'node:net';

export interface CuttingProxy {
  readonly port: number;
  /** Connections that were cut. */
  readonly cuts: number;
  /** From now on connections last. */
  rest(): void;
  close(): void;
}

/** `bytesOfNext`: how many bytes the next connection may carry. */
export async function startCuttingProxy(
  target: number,
  bytesOfNext: () => number,
): Promise<CuttingProxy> {
  const sockets = new Set<Socket>();
  let cuts = 0;
  let isResting = false;
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    let left = isResting ? Number.POSITIVE_INFINITY : bytesOfNext();
    let isCut = false;
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    const pass = (chunk: Buffer, to: Socket) => {
      if (isCut) return;
      if (isResting) left = Number.POSITIVE_INFINITY;
      if (chunk.length <= left) {
        left -= chunk.length;
        to.write(chunk);
        return;
      }
      isCut = true;
      cuts++;
      // Written out before the end, so that the cut is at this byte.
      to.end(chunk.subarray(0, left), end);
    };
    client.on('data', (chunk: Buffer) => pass(chunk, upstream));
    upstream.on('data', (chunk: Buffer) => pass(chunk, client));
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        if (!isCut) end();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    get cuts() {
      return cuts;
    },
    rest: () => {
      isResting = true;
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
