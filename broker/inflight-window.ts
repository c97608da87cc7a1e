/**
 * What was sent and waits for its acknowledgement, in the order of sending, by packet identifier.
 * Identifiers are 1 to 65,535, none used twice at a time; the caller keeps below that many.
 *
 * Of QoS 1 to a session that ends with its connection nothing has to be remembered but which
 * identifiers are in use: they stand in a ring of 16-bit numbers, each in the slot of its low bits.
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

/** One for all of the ring: nothing of it changes. */
const passing: Inflight = { delivery: null, qos: 1, isReleased: false };

const ringSlotsMin = 64;

export class InflightWindow {
  readonly #inflight = new Map<number, Inflight>();
  /** 0 for a free slot; made when first needed, always at most half full. */
  #ring: Uint16Array | null = null;
  #passingCount = 0;
  #last = 0;

  get size(): number {
    return this.#inflight.size + this.#passingCount;
  }

  get(packetId: number): Inflight | undefined {
    return this.#isPassing(packetId) ? passing : this.#inflight.get(packetId);
  }

  has(packetId: number): boolean {
    return this.#isPassing(packetId) || this.#inflight.has(packetId);
  }

  /** Gives it the next free identifier. */
  launch(delivery: Delivery): number {
    const packetId = this.#next();
    this.#inflight.set(packetId, { delivery, qos: delivery.qos, isReleased: false });
    return packetId;
  }

  /** The same for a message that is not sent again. */
  launchPassing(qos: Qos): number {
    if (qos === 1) return this.#launchInRing();
    const packetId = this.#next();
    this.#inflight.set(packetId, { delivery: null, qos, isReleased: false });
    return packetId;
  }

  /** One that an earlier run had launched. */
  restore(packetId: number, inflight: Inflight): void {
    this.#inflight.set(packetId, inflight);
  }

  release(packetId: number): void {
    const ring = this.#ring;
    if (ring === null || !this.#isPassing(packetId)) {
      this.#inflight.delete(packetId);
      return;
    }
    ring[packetId & (ring.length - 1)] = 0;
    this.#passingCount--;
  }

  clear(): void {
    this.#inflight.clear();
    this.#ring = null;
    this.#passingCount = 0;
  }

  /** A copy, so that acknowledgements may come while it is walked. */
  entries(): [number, Inflight][] {
    const inRing = [...(this.#ring ?? [])].filter((packetId) => packetId > 0);
    return [
      ...this.#inflight,
      ...inRing.map((packetId): [number, Inflight] => [packetId, passing]),
    ];
  }

  #isPassing(packetId: number): boolean {
    const ring = this.#ring;
    return ring !== null && ring[packetId & (ring.length - 1)] === packetId && packetId > 0;
  }

  #launchInRing(): number {
    const ring = this.#roomyRing();
    let packetId = this.#next();
    while (ring[packetId & (ring.length - 1)] !== 0) packetId = this.#next();
    ring[packetId & (ring.length - 1)] = packetId;
    this.#passingCount++;
    return packetId;
  }

  /** At most half full, so that a free slot is never far. */
  #roomyRing(): Uint16Array {
    const ring = this.#ring ?? new Uint16Array(ringSlotsMin);
    this.#ring = ring;
    if (this.#passingCount * 2 < ring.length) return ring;
    const larger = new Uint16Array(ring.length * 2);
    for (const packetId of ring)
      if (packetId > 0) larger[packetId & (larger.length - 1)] = packetId;
    this.#ring = larger;
    return larger;
  }

  #next(): number {
    do {
      this.#last = this.#last === 65_535 ? 1 : this.#last + 1;
    } while (this.has(this.#last));
    return this.#last;
  }
}
