/**
 * What the supervising process and a worker say to each other over IPC, beside the events that every
 * tier tells its parent and the word to stop.
 */
import type { ListenerName } from '../../broker/listeners.ts';

/** First, to a worker: who it is. */
export interface Charge {
  readonly worker: number;
  readonly workers: number;
  /** Private to this edge: where the workers' relay sockets are. */
  readonly folder: string;
  /** What a relayed connection must show, so that nobody else can claim an address. */
  readonly token: string;
}

/** To a worker. An arrival comes with its socket, and with what was read from it. */
export type Order =
  | { readonly order: 'charge'; readonly charge: Charge }
  | { readonly order: 'arrival'; readonly listener: ListenerName; readonly head: string }
  | { readonly order: 'report'; readonly number: number };

/** From a worker: how many connections it has taken so far. */
export interface Took {
  readonly took: number;
}

/** From a worker: how it is, as the answer to the `report` of that number. */
export interface Report {
  readonly report: number;
  /** Prometheus text. */
  readonly metrics: string;
  readonly reasons: readonly string[];
}
