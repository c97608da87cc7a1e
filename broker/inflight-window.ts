/**
 * What was sent and waits for its acknowledgement, in the order of sending, by packet identifier.
 * Identifiers are 1 to 65,535, none used twice at a time; the caller keeps below that many.
 *
 * Of QoS 1 that left in a run nothing has to be remembered but which identifiers are in use, and for a
 * kept session which places in the log they are of: they stand in a ring of 16-bit numbers, each in
 * the slot of its low bits.
 * Source: MQTT 3.1.1 sections 2.3.1 and 4.4.
 */
import type { Qos } from '../base/publication.ts';
import type { Delivery } from './delivery.ts';

export interface Inflight {
  /** Null for one that left in a run. */
  readonly delivery: Delivery | null;
  readonly qos: Qos;
  /** PUBREC came: only PUBREL is owed. */
  isReleased: boolean;
  /** Counts up with each. */
  readonly launched: number;
}

/** One for all of the ring: nothing of it changes. */
const passing: Inflight = { delivery: null, qos: 1, isReleased: false, launched: 0 };

const ringSlotsMin = 64;

/** As it left in a run: nothing about it was its own. */
function placeInLog(sequence: number): Delivery {
  return { sequence, qos: 1, retain: false, publication: null, identifiers: [], owner: null };
}

export class InflightWindow {
  readonly #inflight = new Map<number, Inflight>();
  /** 0 for a free slot; made when first needed, always at most half full. */
  #ring: Uint16Array | null = null;
  /** Beside the ring, for kept sessions: places in the log, and when each was launched. */
  #sequences: Float64Array | null = null;
  #launches: Float64Array | null = null;
  #launched = 0;
  #passingCount = 0;
  #last = 0;
  /** Of QoS 1 one at a time is timed: 0 for none. */
  #timedId = 0;
  #timedSince = 0;
  #roundTripUs = 0;

  /** The last time from PUBLISH to PUBACK; 0 while there is none. */
  get roundTripUs(): number {
    return this.#roundTripUs;
  }

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
    const launched = this.#launched++;
    this.#inflight.set(packetId, { delivery, qos: delivery.qos, isReleased: false, launched });
    if (delivery.qos === 1) this.#time(packetId);
    return packetId;
  }

  /** The same for a message of a run; the sequence is 0 where its session ends with its connection. */
  launchPassing(qos: Qos, sequence: number): number {
    if (qos === 1) return this.#launchInRing(sequence);
    const packetId = this.#next();
    const launched = this.#launched++;
    this.#inflight.set(packetId, { delivery: null, qos, isReleased: false, launched });
    return packetId;
  }

  /** The log sequence of a message that left in a run of a kept session; 0 for all others. */
  owedBy(packetId: number): number {
    const sequences = this.#sequences;
    if (sequences === null || !this.#isPassing(packetId)) return 0;
    return sequences[packetId & (sequences.length - 1)] as number;
  }

  /** The connection of a kept session is gone: what left in runs is to be sent again, in order. */
  suspend(): void {
    if (this.#sequences === null || this.#passingCount === 0) return;
    const all = this.entries().sort(([, one], [, other]) => one.launched - other.launched);
    this.clear();
    for (const [packetId, inflight] of all) this.#inflight.set(packetId, inflight);
  }

  /** One that an earlier run had launched. */
  restore(
    packetId: number,
    { delivery, isReleased }: { delivery: Delivery; isReleased: boolean },
  ): void {
    const launched = this.#launched++;
    this.#inflight.set(packetId, { delivery, qos: delivery.qos, isReleased, launched });
  }

  /** What was sent on a connection before is in no one's round trip. */
  stopTiming(): void {
    this.#timedId = 0;
  }

  release(packetId: number): void {
    if (packetId === this.#timedId) {
      this.#timedId = 0;
      this.#roundTripUs = Math.max(1, Math.round((performance.now() - this.#timedSince) * 1_000));
    }
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
    this.#timedId = 0;
    this.#ring = null;
    this.#sequences = null;
    this.#launches = null;
    this.#passingCount = 0;
  }

  /** A copy, so that acknowledgements may come while it is walked. */
  entries(): [number, Inflight][] {
    return [...this.#inflight, ...this.#passed()];
  }

  #passed(): [number, Inflight][] {
    const packetIds = [...(this.#ring ?? [])].filter((packetId) => packetId > 0);
    return packetIds.map((packetId) => {
      const sequence = this.owedBy(packetId);
      if (sequence === 0) return [packetId, passing];
      const launched = this.#launchOf(packetId);
      return [packetId, { delivery: placeInLog(sequence), qos: 1, isReleased: false, launched }];
    });
  }

  #time(packetId: number): void {
    if (this.#timedId > 0) return;
    this.#timedId = packetId;
    this.#timedSince = performance.now();
  }

  #isPassing(packetId: number): boolean {
    const ring = this.#ring;
    return ring !== null && ring[packetId & (ring.length - 1)] === packetId && packetId > 0;
  }

  #launchInRing(sequence: number): number {
    const ring = this.#roomyRing();
    let packetId = this.#next();
    while (ring[packetId & (ring.length - 1)] !== 0) packetId = this.#next();
    ring[packetId & (ring.length - 1)] = packetId;
    this.#passingCount++;
    if (sequence > 0) {
      this.#sequences ??= new Float64Array(ring.length);
      this.#sequences[packetId & (ring.length - 1)] = sequence;
      this.#launches ??= new Float64Array(ring.length);
      this.#launches[packetId & (ring.length - 1)] = this.#launched++;
    }
    this.#time(packetId);
    return packetId;
  }

  /** At most half full, so that a free slot is never far. */
  #roomyRing(): Uint16Array {
    const ring = this.#ring ?? new Uint16Array(ringSlotsMin);
    this.#ring = ring;
    if (this.#passingCount * 2 < ring.length) return ring;
    const size = ring.length * 2;
    const larger = new Uint16Array(size);
    const sequences = this.#sequences === null ? null : new Float64Array(size);
    const launches = this.#sequences === null ? null : new Float64Array(size);
    for (const packetId of ring) {
      if (packetId === 0) continue;
      const slot = packetId & (size - 1);
      larger[slot] = packetId;
      if (sequences !== null) sequences[slot] = this.owedBy(packetId);
      if (launches !== null) launches[slot] = this.#launchOf(packetId);
    }
    this.#ring = larger;
    this.#sequences = sequences;
    this.#launches = launches;
    return larger;
  }

  #launchOf(packetId: number): number {
    const launches = this.#launches;
    return launches === null ? 0 : (launches[packetId & (launches.length - 1)] as number);
  }

  #next(): number {
    do {
      this.#last = this.#last === 65_535 ? 1 : this.#last + 1;
    } while (this.has(this.#last));
    return this.#last;
  }
}
