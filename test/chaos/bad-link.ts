/**
 * A TCP proxy that does to a link what bad networks do: all of it is undone by `heal`. As TCP it never
 * leaves bytes out and never changes their order.
 */
import { connect, createServer, type Socket } from 'node:net';
import type { Random } from '../support/random.ts';

export type Direction = 'up' | 'down';

export interface BadLink {
  readonly port: number;
  /** Resets every connection. */
  reset(): void;
  /** Nothing passes this way for now; connections stay open. */
  freeze(direction: Direction): void;
  /** All that comes takes so long. */
  delay(ms: number): void;
  /** Each connection passes some bytes more, up to so many, and is closed in the middle of them. */
  truncate(bytesMax: number): void;
  heal(): void;
  close(): void;
}

interface Way {
  readonly from: Socket;
  readonly to: Socket;
  readonly direction: Direction;
  /** What came and may not pass yet, with the time when it may. */
  readonly held: { readonly chunk: Buffer; readonly at: number }[];
  bytesLeft: number;
}

export async function startBadLink(target: number, random: Random): Promise<BadLink> {
  const ways = new Set<Way>();
  const frozen = new Set<Direction>();
  let delayMs = 0;
  let truncatedAt = Number.POSITIVE_INFINITY;

  const pass = (way: Way, chunk: Buffer) => {
    const end = Math.min(chunk.length, way.bytesLeft);
    way.bytesLeft -= end;
    way.to.write(chunk.subarray(0, end));
    if (way.bytesLeft > 0) return;
    way.from.destroy();
    way.to.destroy();
  };
  const passDue = (way: Way) => {
    while (way.held[0] !== undefined && !frozen.has(way.direction)) {
      if (way.held[0].at > performance.now() && delayMs > 0) return;
      pass(way, way.held.shift()?.chunk as Buffer);
    }
  };
  const ticking = setInterval(() => {
    for (const way of ways) passDue(way);
  }, 5);
  const couple = (from: Socket, to: Socket, direction: Direction) => {
    const way: Way = { from, to, direction, held: [], bytesLeft: truncatedAt };
    ways.add(way);
    from.on('data', (chunk) => {
      way.held.push({ chunk, at: performance.now() + delayMs });
      passDue(way);
    });
    from.on('error', () => {});
    from.on('close', () => {
      ways.delete(way);
      to.destroy();
    });
  };
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    couple(client, upstream, 'up');
    couple(upstream, client, 'down');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const reset = () => {
    for (const { from } of ways) from.resetAndDestroy();
  };
  return {
    port: address.port,
    reset,
    freeze: (direction) => void frozen.add(direction),
    delay: (ms) => {
      delayMs = ms;
    },
    truncate: (bytesMax) => {
      truncatedAt = bytesMax;
      for (const way of ways) way.bytesLeft = 1 + random.below(bytesMax);
    },
    heal: () => {
      frozen.clear();
      delayMs = 0;
      truncatedAt = Number.POSITIVE_INFINITY;
      for (const way of ways) {
        way.bytesLeft = truncatedAt;
        passDue(way);
      }
    },
    close: () => {
      clearInterval(ticking);
      server.close();
      reset();
    },
  };
}
