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
  /** Whether what comes from the target waits here. */
  hold(isHolding: boolean): void;
  /** Whether new connections are destroyed at once. */
  refuse(isRefusing: boolean): void;
  /** What comes from the target passes so much later from now on; its order holds. */
  delay(ms: number): void;
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
  /** What waits on its way to the client, with the moment when it may go. */
  readonly late: { readonly chunk: Buffer; readonly at: number }[];
  timer: NodeJS.Timeout | null;
}

function sendLate(pair: Pair): void {
  pair.timer = null;
  for (;;) {
    const first = pair.late[0];
    if (first === undefined) return;
    const waitMs = first.at - performance.now();
    if (waitMs > 0) {
      pair.timer = setTimeout(() => sendLate(pair), waitMs);
      return;
    }
    pair.late.shift();
    pair.client.write(first.chunk);
  }
}

export async function startProxy(target: number): Promise<TcpProxy> {
  const pairs = new Set<Pair>();
  let accepted = 0;
  let isFrozen = false;
  let isRefusing = false;
  let delayMs = 0;
  const server = createServer((client) => {
    accepted++;
    if (isRefusing) {
      client.destroy();
      return;
    }
    const upstream = connect(target, '127.0.0.1');
    const pair: Pair = { client, upstream, deaf: null, late: [], timer: null };
    pairs.add(pair);
    client.on('data', (chunk) => {
      if (pair.deaf !== 'target') upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (isFrozen || pair.deaf === 'clients') return;
      if (delayMs === 0 && pair.late.length === 0) client.write(chunk);
      else {
        pair.late.push({ chunk, at: performance.now() + delayMs });
        if (pair.timer === null) sendLate(pair);
      }
    });
    for (const socket of [client, upstream]) {
      socket.on('error', () => {});
      socket.on('close', () => {
        pairs.delete(pair);
        if (pair.timer !== null) clearTimeout(pair.timer);
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
    hold: (isHolding) => {
      for (const { upstream } of pairs) {
        if (isHolding) upstream.pause();
        else upstream.resume();
      }
    },
    refuse: (value) => {
      isRefusing = value;
    },
    delay: (ms) => {
      delayMs = ms;
    },
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
