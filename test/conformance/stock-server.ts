/**
 * The embedded broker as it comes, in this process: the cases must fail against it, which shows
 * that they can fail. Its store is in memory and made slow or failing as a case asks.
 */
import type { EventEmitter } from 'node:events';
import { createServer, type Server as NetServer, type Socket } from 'node:net';
import { Aedes, type AedesOptions } from 'aedes';
import { Server } from './server.ts';

/** Long enough for an answer on one machine; what it does not send by then is not sent. */
const patienceMs = 1_000;

/** Aedes looks for wills of brokers that are gone every fourth heartbeat. */
const heartbeatMs = 50;

type Persistence = Record<string, (...args: unknown[]) => Promise<unknown>>;

/** Calls that write a message, or what belongs to it. */
const writes = ['outgoingEnqueueCombi', 'storeRetained', 'putWill'];

class SlowPersistence {
  #ms = 0;
  #failures = 0;
  #held: Promise<void> | null = null;

  wrap(persistence: Persistence): void {
    for (const name of writes) {
      const call = persistence[name]?.bind(persistence);
      if (call === undefined) throw new Error(`the persistence has no ${name}`);
      persistence[name] = async (...args) => {
        await this.#before(name);
        return call(...args);
      };
    }
  }

  hold(): () => void {
    let release = () => {};
    this.#held = new Promise((resolve) => {
      release = resolve;
    });
    return () => {
      this.#held = null;
      release();
    };
  }

  delay(ms: number): void {
    this.#ms = ms;
  }

  failOnce(): void {
    this.#failures = 1;
  }

  async #before(name: string): Promise<void> {
    if (this.#held !== null) await this.#held;
    if (this.#ms > 0) await new Promise((resolve) => setTimeout(resolve, this.#ms));
    if (this.#failures === 0 || name !== 'outgoingEnqueueCombi') return;
    this.#failures--;
    throw new Error('the store failed');
  }
}

interface Running {
  readonly aedes: Aedes;
  readonly server: NetServer;
  readonly sockets: Set<Socket>;
  readonly port: number;
}

async function run(options: AedesOptions): Promise<Running> {
  const aedes = await Aedes.createBroker({ heartbeatInterval: heartbeatMs, ...options });
  const emitter: EventEmitter = aedes;
  emitter.on('error', () => {});
  aedes.authorizeSubscribe = (_client, subscription, done) => {
    const { topic } = subscription;
    done(null, topic.startsWith('$') && !topic.startsWith('$SYS/') ? null : subscription);
  };
  // As an application's would: it asks who publishes.
  aedes.authorizePublish = (client, _packet, done) => {
    done(client?.id ? null : new Error('nobody may not publish'));
  };
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    aedes.handle(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return { aedes, server, sockets, port: address.port };
}

async function stop({ aedes, server, sockets }: Running): Promise<void> {
  for (const socket of sockets) socket.destroy();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A held delivery keeps it from ever answering; everything else is closed by now.
  aedes.close();
  await closed;
}

export async function openStock(): Promise<Server> {
  let running = await run({});
  const opened = [running];
  const store = new SlowPersistence();
  const { persistence } = running.aedes as unknown as { persistence: Persistence };
  store.wrap(persistence);
  return new Server({
    port: running.port,
    store,
    patienceMs,
    inject: (topic, payload) =>
      new Promise((resolve, reject) => {
        const packet = { cmd: 'publish', topic, payload, qos: 1, retain: false, dup: false };
        running.aedes.publish(packet as never, (error) => {
          if (error) reject(error);
          else resolve();
        });
      }),
    restart: async () => {
      // What a dead process leaves: the store, and no word to anybody.
      running = await run({ persistence });
      opened.push(running);
      return running.port;
    },
    close: async () => {
      for (const one of opened) await stop(one);
    },
  });
}
