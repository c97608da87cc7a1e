/**
 * What comes down one lane, handed to the broker one call after the other. It outlives the link:
 * what was handed over when a link broke is recognised when the core sends it again on the next.
 */
import type { Ledger } from '../base/ledger.ts';
import { laneCreditBytes } from '../base/limits.ts';
import type { Logger } from '../base/log.ts';
import { batchBytes } from '../proto/batch-bytes.ts';
import type { Batch } from '../proto/gen/trunkline/v1/publication.ts';
import type { LaneOpened, LaneRequest } from '../proto/gen/trunkline/v1/trunk.ts';
import type { Sequenced } from '../proto/wire.ts';
import type { Downlinked, LocalDelivery, UplinkLog } from './ports.ts';

/** Credit goes back in quarters: fewer messages, and the core never runs dry waiting for one. */
const creditStepBytes = laneCreditBytes / 4;

/** Publications handed over in one call: small batches that gathered go together. */
const deliveredMax = 2_000;

export interface LaneDownlinkParts {
  readonly log: Logger;
  readonly ledger: Ledger;
  readonly spool: UplinkLog;
  readonly delivery: LocalDelivery;
}

export interface LaneDownlinkOutlet {
  write(message: NonNullable<LaneRequest['message']>): void;
  fail(reason: string): void;
}

interface Arrival {
  readonly items: readonly Downlinked[];
  /** 0 for a batch without positions. */
  readonly through: number;
  readonly bytes: number;
  /** Called when the items, and all before them, were delivered. */
  readonly done: () => void;
}

export class LaneDownlink {
  readonly #parts: LaneDownlinkParts;
  readonly #lane: number;
  #outlet: LaneDownlinkOutlet | null = null;
  #arrivals: Arrival[] = [];
  #delivering: Promise<void> | null = null;
  #logEpoch = '';
  /** The last position that was handed over, or is being handed over. */
  #handedThrough = 0;
  /** Counts up when positions start anew: what is handed over then says nothing of the new ones. */
  #restarts = 0;
  #creditDue = 0;

  constructor(parts: LaneDownlinkParts, lane: number) {
    this.#parts = parts;
    this.#lane = lane;
  }

  /** A link has opened the lane; set back: at a position before the one that it named. */
  attach(outlet: LaneDownlinkOutlet, opened: LaneOpened, isSetBack: boolean): void {
    this.#outlet = outlet;
    this.#creditDue = 0;
    if (opened.logEpoch !== this.#logEpoch || isSetBack) {
      this.#logEpoch = opened.logEpoch;
      this.#handedThrough = opened.position;
      this.#restarts++;
    } else {
      this.#handedThrough = Math.max(this.#handedThrough, opened.position);
    }
  }

  /** The link is gone. What was not handed over yet comes again, but for QoS 0. */
  detach(): void {
    this.#outlet = null;
    let lost = 0;
    for (const { items } of this.#arrivals) {
      for (const { position, publication } of items) {
        if (position === 0 && publication.qos === 0 && !publication.retain) lost++;
      }
    }
    if (lost > 0) this.#parts.ledger.dropped('link-down-qos0', lost);
    this.#arrivals = [];
  }

  /** The credit that the core was given bounds what waits here. */
  take(batch: Batch, items: readonly Sequenced[]): void {
    this.#arrivals.push({
      items: items.map(({ publication, sequence }) => ({ publication, position: sequence })),
      through: batch.throughSequence,
      bytes: batchBytes(batch),
      done: () => {},
    });
    this.#delivering ??= this.#deliverAll();
  }

  /** Calls back when everything that came before was delivered; not when the link goes first. */
  whenDelivered(done: () => void): void {
    this.#arrivals.push({ items: [], through: 0, bytes: 0, done });
    this.#delivering ??= this.#deliverAll();
  }

  /** Resolves when the broker has taken what was handed to it. */
  async idle(): Promise<void> {
    await this.#delivering;
  }

  /** Never rejects: what fails is told to the link, which is replaced. */
  async #deliverAll(): Promise<void> {
    try {
      // A turn later, so that what arrives in this one goes in one call.
      await new Promise<void>((resolve) => setImmediate(resolve));
      while (this.#arrivals.length > 0) await this.#deliverSome();
    } catch (error) {
      this.#parts.log.error({ err: error, lane: this.#lane }, 'delivery failed');
      this.#outlet?.fail('the broker could not take what came down');
    } finally {
      this.#delivering = null;
    }
  }

  async #deliverSome(): Promise<void> {
    const { delivery, ledger, spool } = this.#parts;
    const outlet = this.#outlet;
    const from = { lane: this.#lane, logEpoch: this.#logEpoch };
    const before = this.#handedThrough;
    const restarts = this.#restarts;
    const { items, through, bytes, taken } = this.#takeArrivals();
    if (items.length > 0) {
      try {
        await delivery.deliver(from, items);
      } catch (error) {
        if (restarts === this.#restarts) this.#handedThrough = before;
        throw error;
      }
      ledger.downlinked.add(items.length);
    }
    if (through > 0 && restarts === this.#restarts) {
      spool.notePosition(this.#lane, { logEpoch: from.logEpoch, position: through });
      outlet?.write({ $case: 'watermark', value: { throughSequence: through } });
    }
    this.#giveCredit(outlet, bytes);
    if (outlet === this.#outlet) for (const { done } of taken) done();
  }

  #takeArrivals(): { items: Downlinked[]; through: number; bytes: number; taken: Arrival[] } {
    const items: Downlinked[] = [];
    let count = 0;
    let through = 0;
    let bytes = 0;
    for (const arrival of this.#arrivals) {
      if (items.length >= deliveredMax) break;
      count++;
      bytes += arrival.bytes;
      for (const item of arrival.items) {
        if (item.position > 0 && item.position <= this.#handedThrough) {
          this.#parts.ledger.repeats.add();
        } else {
          items.push(item);
        }
      }
      through = Math.max(through, arrival.through);
      this.#handedThrough = Math.max(this.#handedThrough, arrival.through);
    }
    const taken = this.#arrivals.splice(0, count);
    return { items, through, bytes, taken };
  }

  /** To the link that it came by; the next one starts with full credit. */
  #giveCredit(outlet: LaneDownlinkOutlet | null, bytes: number): void {
    if (outlet === null || outlet !== this.#outlet) return;
    this.#creditDue += bytes;
    if (this.#creditDue < creditStepBytes) return;
    outlet.write({ $case: 'credit', value: { bytes: this.#creditDue } });
    this.#creditDue = 0;
  }
}
