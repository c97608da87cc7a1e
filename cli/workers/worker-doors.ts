/**
 * The doors of one worker. The supervising process has the ports: MQTT over TCP comes here only for
 * identifiers that this worker owns; TLS and WebSocket come to any worker, since the identifier is
 * known only inside, and go on by relay when they belong to another.
 */
import type { Duplex } from 'node:stream';
import { connectMs } from '../../base/limits.ts';
import type { Logger } from '../../base/log.ts';
import type { Counter, CounterFamily, Metrics } from '../../base/metrics.ts';
import {
  type Arrival,
  type Doors,
  type ListenerName,
  Listeners,
  type ListenersOptions,
} from '../../broker/listeners.ts';
import { ConnectPeek, type Peeked } from './connect-peek.ts';
import { doorRefusals } from './door-refusals.ts';
import type { Charge } from './messages.ts';
import { OpenStreams } from './open-streams.ts';
import { ownerOf } from './owner.ts';
import type { Handed } from './primary-line.ts';
import { RelayInlet, RelayOutlet } from './relay.ts';

export class WorkerDoors implements Doors {
  /** None of its own. */
  readonly ports: ReadonlyMap<ListenerName, number> = new Map();
  readonly #charge: Charge;
  readonly #options: ListenersOptions;
  readonly #refused: CounterFamily;
  readonly #relayed: Counter;
  readonly #outlet: RelayOutlet;
  readonly #handed = new OpenStreams();
  /** Streams whose CONNECT is not there yet. */
  readonly #peeking = new Set<Duplex>();
  #listeners: Listeners | null = null;
  #inlet: RelayInlet | null = null;

  private constructor(metrics: Metrics, charge: Charge, options: ListenersOptions) {
    this.#charge = charge;
    this.#options = options;
    this.#outlet = new RelayOutlet(charge);
    this.#refused = doorRefusals(metrics);
    this.#relayed = metrics.counter(
      'trunkline_relays_total',
      'Connections over TLS or WebSocket that were carried to the worker that owns the identifier.',
    );
    metrics.gauge(
      'trunkline_relays',
      'Connections that this worker carries for others.',
      () => this.#outlet.count,
    );
  }

  /** Throws `tls-unreadable`. */
  static async open(
    parts: { log: Logger; metrics: Metrics },
    charge: Charge,
    options: ListenersOptions,
  ): Promise<WorkerDoors> {
    const doors = new WorkerDoors(parts.metrics, charge, options);
    try {
      doors.#inlet = await RelayInlet.open({
        charge,
        onArrival: options.onArrival,
        onRefused: () => {
          doors.#refused.by('relay-unknown').add();
          parts.log.warn({ reason: 'relay-unknown' }, 'connection refused');
        },
      });
      doors.#listeners = await Listeners.open(parts.log, {
        config: options.config,
        tls: options.tls,
        isInjected: true,
        onArrival: (arrival) => doors.#arrived(arrival),
      });
      return doors;
    } catch (error) {
      await doors.close();
      throw error;
    }
  }

  /** A connection that the supervising process accepted. */
  take({ socket, listener, head }: Handed): void {
    this.#handed.add(socket);
    if (head.length > 0) socket.unshift(head);
    if (this.#listeners === null) socket.destroy();
    else this.#listeners.inject(listener, socket);
  }

  async close(): Promise<void> {
    for (const socket of this.#peeking) socket.destroy();
    await Promise.all([
      this.#listeners?.close(),
      this.#inlet?.close(),
      this.#outlet.close(),
      this.#handed.close(),
    ]);
  }

  #arrived(arrival: Arrival): void {
    if (arrival.listener === 'mqtt') this.#options.onArrival(arrival);
    else if (this.#peeking.size >= this.#options.config.limits.connections) {
      arrival.socket.on('error', () => {});
      this.#refuse(arrival.socket, 'overloaded');
    } else this.#peek(arrival);
  }

  /** Holds the stream until it is known whose it is; what was read goes back into it. */
  #peek(arrival: Arrival): void {
    const { socket } = arrival;
    const peek = new ConnectPeek();
    this.#peeking.add(socket);
    const timer = setTimeout(() => this.#refuse(socket, 'connect-timeout'), connectMs);
    const ended = () => this.#refuse(socket, 'closed-by-client');
    const leave = () => {
      clearTimeout(timer);
      this.#peeking.delete(socket);
    };
    const take = (chunk: Buffer) => {
      const peeked = peek.take(chunk);
      if (peeked === 'more') return;
      leave();
      socket.pause();
      socket.off('data', take).off('end', ended).off('close', leave);
      socket.unshift(peek.bytes);
      this.#settle(arrival, peeked);
    };
    socket.on('error', () => socket.destroy());
    socket.on('data', take).on('end', ended).on('close', leave);
  }

  #settle(arrival: Arrival, peeked: Exclude<Peeked, 'more'>): void {
    const { worker, workers } = this.#charge;
    const owner = peeked === 'nobody' ? worker : ownerOf(peeked, workers);
    if (owner === worker) {
      this.#options.onArrival(arrival);
      arrival.socket.resume();
      return;
    }
    this.#relayed.add();
    this.#outlet
      .carry(arrival, owner)
      .then((isCarried) => {
        if (!isCarried) this.#refused.by('worker-away').add();
      })
      .catch(() => this.#refuse(arrival.socket, 'worker-away'));
  }

  #refuse(socket: Duplex, reason: string): void {
    this.#refused.by(reason).add();
    socket.destroy();
  }
}
