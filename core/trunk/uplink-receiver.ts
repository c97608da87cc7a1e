/**
 * What comes up one lane: QoS 0 is routed at once, what carries sequences goes to the log and is
 * answered with the watermark when it is durable. Repeats are answered and not routed.
 */
import { canariesIn } from '../../base/canary.ts';
import type { Clock } from '../../base/clock.ts';
import { TrunklineError } from '../../base/errors.ts';
import type { Ledger } from '../../base/ledger.ts';
import { laneCreditBytes, trunkMessageBytesMax } from '../../base/limits.ts';
import { batchBytes } from '../../proto/batch-bytes.ts';
import type { Batch } from '../../proto/gen/trunkline/v1/publication.ts';
import { type Sequenced, TopicDecoder } from '../../proto/wire.ts';
import type { Backplane } from '../backplane/backplane.ts';
import type { FanOut } from '../fanout/fan-out.ts';
import { endOf, type LaneOutlet } from './lane-outlet.ts';
import type { LaneBook } from './trunk-books.ts';
import type { TrunkCounters } from './trunk-counters.ts';

/** Credit goes back in quarters: fewer messages, and the sender never runs dry waiting for one. */
const creditStepBytes = laneCreditBytes / 4;

/** Past the credit by more than one message, the edge does not keep to it. */
const pendingBytesMax = laneCreditBytes + trunkMessageBytesMax;

export interface UplinkParts {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly backplane: Backplane;
  readonly fanout: FanOut;
  readonly counters: TrunkCounters;
}

export interface LaneIdentity {
  readonly edgeId: string;
  readonly epoch: string;
  readonly lane: number;
}

export class UplinkReceiver {
  readonly #parts: UplinkParts;
  readonly #identity: LaneIdentity;
  readonly #outlet: LaneOutlet;
  readonly #book: LaneBook;
  readonly #decoder = new TopicDecoder();
  #pendingBytes = 0;
  /** Durable and not told yet. */
  #durableThrough = 0;
  #isTelling = false;
  #creditDue = 0;
  #isClosed = false;

  constructor(parts: UplinkParts, identity: LaneIdentity, outlet: LaneOutlet) {
    this.#parts = parts;
    this.#identity = identity;
    this.#outlet = outlet;
    this.#book = parts.counters.books.of(identity.edgeId, identity.lane);
  }

  receive(batch: Batch): void {
    try {
      const items = this.#decoder.decode(batch, {
        now: this.#parts.clock.now(),
        origin: this.#identity.edgeId,
      });
      if (items.length === 0) return;
      if (batch.firstSequence === 0) this.#route(items);
      else this.#append(items, batch);
    } catch (error) {
      if (error instanceof TrunklineError && error.code === 'batch-malformed') {
        this.#parts.counters.batchesRefused.add();
      }
      this.#outlet.fail(endOf(error));
    }
  }

  /** What is on its way into the log stays so; its answer has no stream to go to. */
  close(): void {
    this.#isClosed = true;
  }

  #route(items: readonly Sequenced[]): void {
    const publications = items.map((item) => item.publication);
    if (publications.some(({ qos, retain }) => qos > 0 || retain)) {
      throw new TrunklineError(
        'batch-malformed',
        'Batch refused: first_sequence is 0, which is for QoS 0 without retain alone.',
      );
    }
    this.#parts.fanout.route(publications);
    this.#parts.ledger.uplinked.add(publications.length);
  }

  #append(items: readonly Sequenced[], batch: Batch): void {
    const last = batch.firstSequence + items.length - 1;
    if (items.at(-1)?.sequence !== last) {
      throw new TrunklineError(
        'batch-malformed',
        'Batch refused: sequence_deltas leaves out sequences, which is for the downlink alone.',
      );
    }
    const book = this.#book;
    book.received.add(items.length);
    const bytes = batchBytes(batch);
    this.#pendingBytes += bytes;
    if (this.#pendingBytes > pendingBytesMax) {
      book.refused('over-credit', items.length);
      throw new TrunklineError(
        'overloaded',
        `Lane ${this.#identity.lane} sent more than the credit that it was given.`,
      );
    }
    const { backplane, ledger, counters } = this.#parts;
    const { edgeId, epoch, lane } = this.#identity;
    const append = {
      lane: null,
      publications: items.map((item) => item.publication),
      source: { edgeId, epoch, lane, firstSequence: batch.firstSequence },
      onDurable: ({ repeats }: { readonly repeats: number }) => {
        const news = repeats === 0 ? items : items.slice(repeats);
        book.repeated.add(repeats);
        book.logged.add(news.length);
        ledger.repeats.add(repeats);
        ledger.uplinked.add(news.length - canariesIn(news));
        this.#durable(last, bytes);
      },
    };
    backplane.append([append]).catch((error: unknown) => {
      const isGap = error instanceof TrunklineError && error.code === 'lane-gap';
      if (isGap) counters.laneGaps.add();
      book.refused(isGap ? 'gap' : 'log-failing', items.length);
      if (!this.#isClosed) this.#outlet.fail(endOf(error));
    });
  }

  #durable(through: number, bytes: number): void {
    this.#pendingBytes -= bytes;
    this.#creditDue += bytes;
    // A repeat ends before what came after it the first time.
    this.#durableThrough = Math.max(this.#durableThrough, through);
    if (this.#isTelling) return;
    this.#isTelling = true;
    // One commit makes several batches durable: their edge is told once.
    queueMicrotask(() => {
      this.#isTelling = false;
      this.#tell();
    });
  }

  #tell(): void {
    if (this.#isClosed) return;
    const throughSequence = this.#durableThrough;
    this.#outlet.write({ $case: 'watermark', value: { throughSequence } });
    if (this.#creditDue < creditStepBytes) return;
    this.#outlet.write({ $case: 'credit', value: { bytes: this.#creditDue } });
    this.#creditDue = 0;
  }
}
