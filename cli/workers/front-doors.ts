/**
 * The ports of an edge with workers, in the supervising process. MQTT over TCP is read until the
 * client identifier is known, and goes to the worker that owns it. TLS and WebSocket are not touched:
 * the workers take turns.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Config } from '../../base/config.ts';
import type { Counter, CounterFamily, Metrics } from '../../base/metrics.ts';
import { bindListener, type ListenerName } from '../../broker/listeners.ts';
import { Caller } from './caller.ts';
import { ConnectPeek, type Peeked } from './connect-peek.ts';
import { doorRefusals } from './door-refusals.ts';
import { ownerOf } from './owner.ts';
import type { SupervisedWorker } from './supervised-worker.ts';

export interface FrontDoorsParts {
  readonly metrics: Metrics;
  /** In the order of their numbers. */
  readonly workers: readonly SupervisedWorker[];
}

export class FrontDoors {
  readonly ports = new Map<ListenerName, number>();
  readonly #workers: readonly SupervisedWorker[];
  readonly #callersMax: number;
  readonly #servers: Server[] = [];
  readonly #callers = new Set<Caller>();
  readonly #refused: CounterFamily;
  readonly #given: Counter;
  #turn = 0;

  private constructor({ metrics, workers }: FrontDoorsParts, config: Config) {
    this.#workers = workers;
    this.#callersMax = config.limits.connections;
    this.#refused = doorRefusals(metrics);
    this.#given = metrics.counter(
      'trunkline_handovers_total',
      'Connections that were given to a worker.',
    );
    metrics.gauge(
      'trunkline_door_waiting',
      'Connections that no worker has yet.',
      () => this.#callers.size,
    );
  }

  /** Throws `port-in-use`, `address-unavailable` or `door-open`. */
  static async open(parts: FrontDoorsParts, config: Config): Promise<FrontDoors> {
    const doors = new FrontDoors(parts, config);
    const names: ListenerName[] =
      config.tls.cert === '' ? ['mqtt', 'ws'] : ['mqtt', 'ws', 'mqtts', 'wss'];
    try {
      for (const name of names) await doors.#open(name, config);
      return doors;
    } catch (error) {
      doors.close();
      throw error;
    }
  }

  close(): void {
    // Not waited for: Node would wait for the workers' connections with it.
    for (const server of this.#servers.splice(0)) server.close();
    for (const caller of this.#callers) caller.refuse('shutting-down');
  }

  async #open(name: ListenerName, config: Config): Promise<void> {
    const isRead = name === 'mqtt';
    const server = createServer({ pauseOnConnect: !isRead, allowHalfOpen: true });
    server.on('connection', (socket) => this.#accept(name, socket));
    this.#servers.push(server);
    this.ports.set(name, await bindListener(name, server, config));
    server.on('error', () => this.#refused.by('accept-failed').add());
  }

  #accept(listener: ListenerName, socket: Socket): void {
    const caller = new Caller(socket, listener, {
      over: (one, refused) => {
        this.#callers.delete(one);
        if (refused === null) this.#given.add();
        else this.#refused.by(refused).add();
      },
    });
    if (this.#callers.size >= this.#callersMax) {
      caller.refuse('overloaded');
      return;
    }
    this.#callers.add(caller);
    if (listener === 'mqtt') this.#read(caller);
    else this.#next().queue.offer(caller);
  }

  #read(caller: Caller): void {
    const peek = new ConnectPeek();
    const { socket } = caller;
    const take = (chunk: Buffer) => {
      const peeked = peek.take(chunk);
      if (peeked === 'more') return;
      caller.stopReading();
      socket.off('data', take);
      caller.head = peek.bytes;
      this.#workerFor(peeked).queue.offer(caller);
    };
    socket.on('data', take).on('end', () => caller.refuse('closed-by-client'));
  }

  #workerFor(peeked: Exclude<Peeked, 'more'>): SupervisedWorker {
    if (peeked === 'nobody') return this.#next();
    return this.#workers[ownerOf(peeked, this.#workers.length) - 1] as SupervisedWorker;
  }

  /** In turn, among those that are there. */
  #next(): SupervisedWorker {
    const workers = this.#workers;
    for (let i = 0; i < workers.length; i++) {
      this.#turn = (this.#turn + 1) % workers.length;
      if (workers[this.#turn]?.isUp === true) break;
    }
    return workers[this.#turn] as SupervisedWorker;
  }
}
