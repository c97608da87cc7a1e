/** Ends a socket and leaves it time for the last bytes, such as a CONNACK that refuses. */
import type { Duplex } from 'node:stream';

const lingerMs = 1_000;

export function endSoftly(socket: Duplex): void {
  socket.end();
  socket.resume();
  const linger = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(linger));
}
