/** Ports for tests: a free one, and one that is taken. */
import { createServer, type Server } from 'node:net';

/** A port that nothing listens on at this moment. Prefer 0 where the program can tell its own. */
export async function freePort(): Promise<number> {
  const taken = await takenPort();
  await taken.release();
  return taken.port;
}

/** A port that something else listens on until `release`. */
export async function takenPort(): Promise<{ port: number; release: () => Promise<void> }> {
  const server: Server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  // A test that fails before its release must not hang.
  server.unref();
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    release: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** So many at once, all of them different. */
export async function freePorts(count: number): Promise<number[]> {
  const taken = await Promise.all(Array.from({ length: count }, () => takenPort()));
  await Promise.all(taken.map(({ release }) => release()));
  return taken.map(({ port }) => port);
}
