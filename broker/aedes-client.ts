/**
 * A device as Aedes's handlers know it. Aedes's own constructor makes for each one a parser on a
 * stream of its own, listeners on a socket and a dozen functions; connections pass whole packets and
 * tell of their end themselves, so one parser reads for all, and a client is its fields.
 *
 * Leaned on, beside what `aedes-host.ts` names:
 * - the fields that the constructor sets, and `close`, `pause` and `_onError`, which are inherited;
 * - the parser's 'packet' listener, which is the way to the handlers: it takes `this.client`, and goes
 *   on with `client._nextBatch` when a packet is dealt with;
 * - a client that is neither connecting nor connected is not written to: CONNECT ends there with an
 *   error, before Aedes looks for queued messages of the session, which are the broker's.
 */
import { EventEmitter } from 'node:events';
import type { Connection } from './connection/connection.ts';

/** Aedes's parser, which keeps nothing of a packet that was whole; `found` and `fault` are ours. */
interface Parser extends EventEmitter {
  found: object | null;
  fault: Error | null;
  /** Answers how many bytes are left. */
  parse(bytes: Buffer): number;
}

interface AedesOwn {
  readonly _parser: Parser;
  close(): void;
}

type Handle = (this: { readonly client: HostedClient }, packet: object) => void;

/** Of Aedes's own clients, what it takes apart when it closes one. */
const noParser = { removeAllListeners: () => {}, _queue: null };
const nothingPending: readonly never[] = [];

/** Of Aedes, what is called here. */
interface ClientMaker {
  handle(conn: never): unknown;
}

export class HostedClient {
  readonly broker: ClientMaker;
  readonly conn: Connection;
  closed = false;
  connecting = false;
  connected = false;
  connackSent = false;
  errored = false;
  id: string | null = null;
  clean = true;
  version: number | null = null;
  readonly subscriptions: object = Object.create(null);
  readonly duplicates = nothingPending;
  will: null = null;
  _will: null = null;
  _disconnected = false;
  _authorized = false;
  _paused = false;
  _parsingBatch = 0;
  readonly _parser = noParser;
  _drainTimer: null = null;
  _pendingDrains = nothingPending;
  _connectTimer: null = null;
  _keepaliveTimer: NodeJS.Timeout | null = null;
  _keepaliveInterval = -1;
  /** In Aedes's registry, and CONNACK is not sent. */
  isLetIn = false;
  readonly #onLetIn: (client: HostedClient) => void;

  constructor(broker: ClientMaker, conn: Connection, onLetIn: (client: HostedClient) => void) {
    this.broker = broker;
    this.conn = conn;
    this.#onLetIn = onLetIn;
  }

  declare readonly close: () => void;
  declare readonly _onError: (error: Error) => void;

  /** Nobody listens but Aedes itself. */
  emit(event: string, error?: Error): boolean {
    if (event === 'error' && error !== undefined) this._onError(error);
    return true;
  }

  /** What Aedes calls when it is done with a packet. */
  get _nextBatch(): (error?: Error | null) => void {
    return (error) => this.#isDone(error ?? null);
  }

  _eos(): void {}

  /** Registered: Aedes has done its part of CONNECT. */
  letIn(): void {
    this.isLetIn = true;
    this.connecting = false;
  }

  #isDone(error: Error | null): void {
    if (this.isLetIn) {
      this.isLetIn = false;
      this.#onLetIn(this);
    } else if (error !== null) {
      this.emit('error', error);
    }
  }
}

/** What Aedes makes of packets, for all clients. */
export class PacketIntake {
  readonly #aedes: ClientMaker;
  #parser: Parser;
  #handle: Handle;

  constructor(aedes: ClientMaker) {
    this.#aedes = aedes;
    const client = ownClient(aedes);
    Object.setPrototypeOf(HostedClient.prototype, Object.getPrototypeOf(client));
    ({ parser: this.#parser, handle: this.#handle } = partsOf(client));
  }

  /** A whole packet of MQTT 3.1.1. */
  take(client: HostedClient, frame: Buffer): void {
    const parser = this.#parser;
    const left = parser.parse(frame);
    const { found, fault } = parser;
    parser.found = null;
    if (left === 0 && found !== null && fault === null) {
      this.#handle.call({ client }, found);
      return;
    }
    // What it holds of this packet must not come before another client's.
    ({ parser: this.#parser, handle: this.#handle } = partsOf(ownClient(this.#aedes)));
    client.emit('error', fault ?? new Error('packet is not whole'));
  }
}

/** The one kind of client that Aedes makes by itself. */
function ownClient(aedes: ClientMaker): AedesOwn {
  return aedes.handle(new NoSocket() as never) as AedesOwn;
}

/** Takes it apart. */
function partsOf(client: AedesOwn): { parser: Parser; handle: Handle } {
  const parser = client._parser;
  const [handle] = parser.listeners('packet');
  client.close();
  parser.removeAllListeners();
  parser.found = null;
  parser.fault = null;
  parser.on('packet', (packet: object) => {
    parser.found = packet;
  });
  parser.on('error', (error: Error) => {
    parser.fault = error;
  });
  return { parser, handle: handle as Handle };
}

/** Stands in for a socket while Aedes makes the one client whose parser serves all. */
class NoSocket extends EventEmitter {
  destroyed = false;
  read(): null {
    return null;
  }

  write(): boolean {
    return true;
  }

  destroy(): void {
    this.destroyed = true;
  }
}
