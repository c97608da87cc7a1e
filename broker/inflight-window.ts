/**
 * What was sent and waits for its acknowledgement, in the order of sending, by packet identifier.
 * Identifiers are 1 to 65,535, none used twice at a time; the caller keeps below that many.
 * Source: MQTT 3.1.1 sections 2.3.1 and 4.4.
 */
import type { Qos } from '../base/publication.ts';
import type { Delivery } from './delivery.ts';

export interface Inflight {
  /** Null for one that is never sent again, because its session ends with its connection. */
  readonly delivery: Delivery | null;
  readonly qos: Qos;
  /** PUBREC came: only PUBREL is owed. */
  isReleased: boolean;
}

/** One for all: nothing of it changes. */
const passing: Inflight = { delivery: null, qos: 1, isReleased: false };

export class InflightWindow {
  readonly #inflight = new Map<number, Inflight>();
  #last = 0;

  get size(): number {
    return this.#inflight.size;
  }

  get(packetId: number): Inflight | undefined {
    return this.#inflight.get(packetId);
  }

  has(packetId: number): boolean {
    return this.#inflight.has(packetId);
  }

  /** Gives it the next free identifier. */
  launch(delivery: Delivery): number {
    const packetId = this.#next();
    this.#inflight.set(packetId, { delivery, qos: delivery.qos, isReleased: false });
    return packetId;
  }

  /** The same for a message that is not sent again. */
  launchPassing(qos: Qos): number {
    const packetId = this.#next();
    const inflight = qos === 1 ? passing : { delivery: null, qos, isReleased: false };
    this.#inflight.set(packetId, inflight);
    return packetId;
  }

  /** One that an earlier run had launched. */
  restore(packetId: number, inflight: Inflight): void {
    this.#inflight.set(packetId, inflight);
  }

  release(packetId: number): void {
    this.#inflight.delete(packetId);
  }

  clear(): void {
    this.#inflight.clear();
  }

  /** A copy, so that acknowledgements may come while it is walked. */
  entries(): [number, Inflight][] {
    return [...this.#inflight];
  }

  #next(): number {
    do {
      this.#last = this.#last === 65_535 ? 1 : this.#last + 1;
    } while (this.#inflight.has(this.#last));
    return this.#last;
  }
}
