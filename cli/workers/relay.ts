/**
 * Connections that cannot be given to another process, since their TLS or WebSocket state is in this
 * one: their bytes go to the worker that owns the client identifier through a socket of the file
 * system, in a folder that only this user can enter. One line goes before: what the owner must know
 * of the device, and a token that only the workers have.
 */
import { timingSafeEqual } from 'node:crypto';
import { chmod, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { connectMs } from '../../base/limits.ts';
import type { CertificateFacts } from '../../broker/auth/authenticator.ts';
import type { Arrival, ListenerName } from '../../broker/listeners.ts';
import type { Charge } from './messages.ts';
import { finish, OpenStreams } from './open-streams.ts';

/** Token and address take little of it, the names of a certificate the most. */
const preambleBytesMax = 16 * 1024;
const backlog = 4096;
const newline = 0x0a;

interface Preamble {
  readonly token: string;
  readonly listener: ListenerName;
  readonly remoteAddress: string;
  readonly certificate: CertificateFacts | null;
}

function socketPath(folder: string, worker: number): string {
  return join(folder, `worker-${worker}.sock`);
}

export interface RelayInletOptions {
  readonly charge: Charge;
  readonly onArrival: (arrival: Arrival) => void;
  /** Somebody connected who is no worker, or one that gave up. */
  readonly onRefused: () => void;
}

/** Where other workers bring the connections of devices that are this one's. */
export class RelayInlet {
  readonly #server: Server;
  readonly #options: RelayInletOptions;
  readonly #unknown = new Set<Socket>();

  private constructor(options: RelayInletOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#greet(socket));
  }

  static async open(options: RelayInletOptions): Promise<RelayInlet> {
    const inlet = new RelayInlet(options);
    const path = socketPath(options.charge.folder, options.charge.worker);
    // A worker that was killed leaves its socket behind.
    await rm(path, { force: true });
    const server = inlet.#server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path, backlog }, resolve);
    });
    server.removeAllListeners('error');
    server.on('error', () => {}); // An accept that failed: the other worker counts it.
    await chmod(path, 0o600);
    return inlet;
  }

  /** Resolves when the connections that came through it are closed. */
  async close(): Promise<void> {
    for (const socket of this.#unknown) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #greet(socket: Socket): void {
    this.#unknown.add(socket);
    let bytes: Buffer = Buffer.alloc(0);
    const refuse = () => socket.destroy();
    const timer = setTimeout(refuse, connectMs);
    const gone = () => {
      clearTimeout(timer);
      this.#unknown.delete(socket);
      this.#options.onRefused();
    };
    const take = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      const end = bytes.indexOf(newline);
      if (end < 0 && bytes.length < preambleBytesMax) return;
      const preamble = end < 0 ? null : preambleOf(bytes.subarray(0, end));
      if (preamble === null || !this.#isOurs(preamble.token)) {
        refuse();
        return;
      }
      clearTimeout(timer);
      this.#unknown.delete(socket);
      socket.pause();
      socket.off('data', take).off('end', refuse).off('close', gone);
      socket.unshift(bytes.subarray(end + 1));
      const { listener, remoteAddress, certificate } = preamble;
      this.#options.onArrival({ socket, listener, remoteAddress, certificate });
      socket.resume();
    };
    socket.on('data', take).on('end', refuse).on('close', gone).on('error', refuse);
  }

  #isOurs(token: string): boolean {
    const expected = Buffer.from(this.#options.charge.token);
    const shown = Buffer.from(token);
    return shown.length === expected.length && timingSafeEqual(shown, expected);
  }
}

function preambleOf(line: Buffer): Preamble | null {
  try {
    const value = JSON.parse(line.toString()) as Partial<Preamble>;
    // What the worker that read it from TLS says; the token tells that it is one.
    const { token, listener, remoteAddress, certificate = null } = value;
    const isWhole = typeof token === 'string' && typeof remoteAddress === 'string';
    return isWhole && isListener(listener) ? { token, listener, remoteAddress, certificate } : null;
  } catch {
    return null;
  }
}

function isListener(name: unknown): name is ListenerName {
  return name === 'mqtts' || name === 'ws' || name === 'wss';
}

/** The connections that this worker carries for others. */
export class RelayOutlet {
  readonly #charge: Charge;
  readonly #streams = new OpenStreams();

  constructor(charge: Charge) {
    this.#charge = charge;
  }

  get count(): number {
    return this.#streams.count;
  }

  /** `arrival` has unread bytes and is paused. False when the owner cannot be reached. */
  async carry(arrival: Arrival, owner: number): Promise<boolean> {
    const { socket, listener, remoteAddress, certificate } = arrival;
    this.#streams.add(socket);
    const path = socketPath(this.#charge.folder, owner);
    const relay = connect({ path, allowHalfOpen: true });
    socket.on('error', () => socket.destroy());
    socket.once('close', () => finish(relay));
    const isConnected = await new Promise<boolean>((resolve) => {
      relay.once('connect', () => resolve(true));
      relay.once('close', () => resolve(false));
      relay.on('error', () => relay.destroy());
    });
    if (!isConnected || socket.destroyed) {
      socket.destroy();
      return isConnected;
    }
    const preamble: Preamble = { token: this.#charge.token, listener, remoteAddress, certificate };
    relay.write(`${JSON.stringify(preamble)}\n`);
    couple(socket, relay);
    return true;
  }

  close(): Promise<void> {
    return this.#streams.close();
  }
}

/** Each one's end is the other's, after what was written has left. */
function couple(device: Duplex, owner: Duplex): void {
  device.pipe(owner);
  owner.pipe(device);
  owner.once('close', () => finish(device));
}
