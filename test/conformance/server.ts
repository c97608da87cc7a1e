/** What a case of these tables asks of the server that it is run against. */
import type { IClientOptions } from 'mqtt';
import { TestClient } from '../support/clients.ts';
import { RawClient, type RawPacket } from '../support/raw-client.ts';

/** How the server's store behaves from now on. */
export interface Store {
  /** No message is stored before the answer is called. */
  hold(): () => void;
  /** Storing a message takes this long. */
  delay(ms: number): void;
  /** Storing the next message fails; after that all is well. */
  failOnce(): void;
}

export interface ServerParts {
  readonly port: number;
  readonly store: Store;
  /** How long a case waits for what should come. */
  readonly patienceMs: number;
  /** A publication that does not come from a client. */
  inject(topic: string, payload: string): Promise<void>;
  /** The process dies and another starts on what it stored; its port from then on. */
  restart(): Promise<number>;
  close(): Promise<void>;
}

export interface ConformanceCase {
  /** The guarantee, as a sentence. */
  readonly name: string;
  /** Bounds to open the server with, where it has any. */
  readonly limits?: Readonly<Record<string, number>>;
  readonly run: (server: Server) => Promise<void>;
  /** How a server that does not give the guarantee is found out. */
  readonly finding: RegExp;
}

/** A server and the clients of one case, which end with it whatever the case did. */
export class Server {
  readonly #parts: ServerParts;
  readonly #raws: RawClient[] = [];
  readonly #clients: TestClient[] = [];
  port: number;

  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.port = parts.port;
  }

  get store(): Store {
    return this.#parts.store;
  }

  get patienceMs(): number {
    return this.#parts.patienceMs;
  }

  inject(topic: string, payload: string): Promise<void> {
    return this.#parts.inject(topic, payload);
  }

  async restart(): Promise<void> {
    this.port = await this.#parts.restart();
  }

  async connect(options: IClientOptions = {}): Promise<TestClient> {
    const client = await TestClient.connect(`mqtt://127.0.0.1:${this.port}`, options);
    this.#clients.push(client);
    return client;
  }

  /** A kept session with one subscription, which is away when the promise resolves. */
  async away(clientId: string, filter: string | string[], qos: 0 | 1 | 2): Promise<void> {
    const client = await this.connect({ clientId, clean: false });
    await client.subscribe(filter, qos);
    await client.end();
  }

  async raw(): Promise<RawClient> {
    const raw = await RawClient.open(this.port);
    this.#raws.push(raw);
    return raw;
  }

  async session(clientId: string, clean = true): Promise<RawClient> {
    const raw = await RawClient.session(this.port, clientId, clean);
    this.#raws.push(raw);
    return raw;
  }

  /** The next packet of a type, or null when the connection closes or patience ends. */
  async nextOf(raw: RawClient, type: number): Promise<RawPacket | null> {
    return this.within(raw.nextOf(type).catch(() => null));
  }

  /** Null when it does not come in time. */
  async within<T>(promise: Promise<T>, ms = this.patienceMs): Promise<T | null> {
    let guard: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      guard = setTimeout(() => resolve(null), ms);
    });
    const first = await Promise.race([promise, late]);
    clearTimeout(guard);
    return first;
  }

  async isClosed(raw: RawClient): Promise<boolean> {
    return (await this.within(raw.closed.then(() => true))) ?? false;
  }

  async close(): Promise<void> {
    for (const raw of this.#raws) raw.destroy();
    await Promise.all(this.#clients.map((client) => client.mqtt.endAsync(true)));
    await this.#parts.close();
  }
}
