/**
 * What comes down one lane, handed to the broker one call after the other. It outlives the link:
 * what was handed over when a link broke is recognised when the core sends it again on the next, by
 * its position, and in another log by where it entered.
 */
import { isCanary } from '../base/canary.ts';
import type { Ledger } from '../base/ledger.ts';
import { laneCreditBytes } from '../base/limits.ts';
import type { Logger } from '../base/log.ts';
import type { Publication } from '../base/publication.ts';
import type { SourceLane } from '../base/source.ts';
import { batchBytes } from '../proto/batch-bytes.ts';
import type { Batch } from '../proto/gen/trunkline/v1/publication.ts';
import type { LaneOpened, LaneRequest } from '../proto/gen/trunkline/v1/trunk.ts';
import type { Sequenced } from '../proto/wire.ts';
import type { Downlinked, LocalDelivery, UplinkLog } from './ports.ts';
import type { SourceMark } from './seen-sources.ts';
import type { TrunkFigures } from './trunk-figures.ts';

/** Credit goes back in quarters: fewer messages, and the core never runs dry waiting for one. */
const creditStepBytes = laneCreditBytes / 4;

/** Publications handed over in one call: small batches that gathered go together. */
const deliveredMax = 2_000;

export interface LaneDownlinkParts {
  readonly log: Logger;
  readonly ledger: Ledger;
  readonly spool: UplinkLog;
  readonly delivery: LocalDelivery;
  readonly figures: Pick<TrunkFigures, 'books' | 'canary'>;
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

/** What one call hands over. */
interface Taken {
  readonly items: Downlinked[];
  readonly canaries: readonly Publication[];
  readonly through: number;
  readonly bytes: number;
  readonly arrivals: readonly Arrival[];
  readonly marks: Marks;
}

/** The marks that one call moves, and where they stood. */
type Marks = Map<SourceLane, { readonly mark: SourceMark; readonly before: number }>;

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

  /** Whether the broker still has to take what came. */
  get isBusy(): boolean {
    return this.#delivering !== null;
  }

  /** The link is gone. What was not handed over yet comes again, but for QoS 0. */
  detach(): void {
    this.#outlet = null;
    let lost = 0;
    for (const { items } of this.#arrivals) {
      this.#parts.figures.books.discarded.of(this.#lane).add(items.length);
      for (const { position, publication } of items) {
        if (position === 0 && publication.qos === 0 && !publication.retain) lost++;
      }
    }
    if (lost > 0) this.#parts.ledger.dropped('link-down-qos0', lost);
    this.#arrivals = [];
  }

  /** The credit that the core was given bounds what waits here. */
  take(batch: Batch, items: readonly Sequenced[]): void {
    this.#parts.figures.books.received.of(this.#lane).add(items.length);
    this.#arrivals.push({
      items: items.map(({ from, publication, sequence }) => {
        return { publication, position: sequence, from: from ?? null };
      }),
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
    const { delivery, figures, ledger, spool } = this.#parts;
    const { books } = figures;
    const outlet = this.#outlet;
    const from = { lane: this.#lane, logEpoch: this.#logEpoch };
    const before = this.#handedThrough;
    const restarts = this.#restarts;
    const { items, canaries, through, bytes, arrivals, marks } = this.#takeArrivals();
    if (items.length > 0) {
      try {
        await delivery.deliver(from, items);
      } catch (error) {
        books.discarded.of(this.#lane).add(items.length + canaries.length);
        if (restarts === this.#restarts) this.#handedThrough = before;
        for (const moved of [...marks.values()].reverse()) moved.mark.handed = moved.before;
        throw error;
      }
      ledger.downlinked.add(items.length);
      books.delivered.of(this.#lane).add(items.length);
    }
    this.#proven(canaries);
    for (const { mark } of marks.values()) spool.seen.note(mark);
    if (through > 0 && restarts === this.#restarts) {
      spool.notePosition(this.#lane, { logEpoch: from.logEpoch, position: through });
      outlet?.write({ $case: 'watermark', value: { throughSequence: through } });
    }
    this.#giveCredit(outlet, bytes);
    if (outlet === this.#outlet) for (const { done } of arrivals) done();
  }

  /** The broker has all that came before them: they prove that, too. */
  #proven(canaries: readonly Publication[]): void {
    const { books, canary } = this.#parts.figures;
    for (const publication of canaries) canary.came(publication);
    books.canaries.of(this.#lane).add(canaries.length);
  }

  #takeArrivals(): Taken {
    const items: Downlinked[] = [];
    const canaries: Publication[] = [];
    const marks: Marks = new Map();
    let count = 0;
    let through = 0;
    let bytes = 0;
    for (const arrival of this.#arrivals) {
      if (items.length >= deliveredMax) break;
      count++;
      bytes += arrival.bytes;
      for (const item of arrival.items) {
        if (isCanary(item.publication.topic)) canaries.push(item.publication);
        else if (!this.#isSeen(item) && !this.#isRepeat(item, marks)) items.push(item);
        else this.#repeated(item, items);
      }
      through = Math.max(through, arrival.through);
      this.#handedThrough = Math.max(this.#handedThrough, arrival.through);
    }
    const arrivals = this.#arrivals.splice(0, count);
    return { items, canaries, through, bytes, arrivals, marks };
  }

  /** The order of a new log decides what is retained: as state, it is not delivered again. */
  #repeated(item: Downlinked, items: Downlinked[]): void {
    const { figures, ledger } = this.#parts;
    const { publication } = item;
    ledger.repeats.add();
    if (publication.retain && !this.#isSeen(item)) {
      items.push({ publication, position: 0, from: null });
    } else {
      figures.books.repeats.of(this.#lane).add();
    }
  }

  /** By its position: it came by an earlier link. */
  #isSeen({ position }: Downlinked): boolean {
    return position > 0 && position <= this.#handedThrough;
  }

  /** By where it entered: it came by another log. */
  #isRepeat({ position, from }: Downlinked, marks: Marks): boolean {
    if (position === 0 || from === null) return false;
    let moved = marks.get(from.source);
    if (moved === undefined) {
      const mark = this.#parts.spool.seen.markOf(from.source, this.#lane);
      moved = { mark, before: mark.handed };
      marks.set(from.source, moved);
    }
    if (from.sequence <= moved.mark.handed) return true;
    moved.mark.handed = from.sequence;
    return false;
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
