/** Ends a socket and leaves it time for the last bytes, such as a CONNACK that refuses. */
import type { Duplex } from 'node:stream';

const lingerMs = 1_000;

export function endSoftly(socket: Duplex): void {
  // Cut off by the client: there is nobody to wait for.
  if (socket.destroyed) return;
  socket.end();
  socket.resume();
  const linger = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(linger));
}
