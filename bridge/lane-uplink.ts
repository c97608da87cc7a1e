/**
 * What goes up one lane while a link is up. Spooled publications go in the order of their lane
 * sequence, from the core's watermark on: live ones as they become durable, and from the spool when
 * the lane is behind. QoS 0 rides beside them, in batches of its own.
 */
import type { Clock } from '../base/clock.ts';
import type { Ledger } from '../base/ledger.ts';
import type { Logger } from '../base/log.ts';
import { type Publication, withPayload } from '../base/publication.ts';
import { SendWindow } from '../base/send-window.ts';
import { batchBytes } from '../proto/batch-bytes.ts';
import type { PayloadDeflater } from '../proto/deflate.ts';
import type { LaneOpened, LaneRequest } from '../proto/gen/trunkline/v1/trunk.ts';
import { type Sequenced, TopicEncoder } from '../proto/wire.ts';
import { Batcher, grownBatch, plainBatch } from './batcher.ts';
import type { Canary } from './canary.ts';
import type { FlowCounters } from './flow-counters.ts';
import { LaneReplay } from './lane-replay.ts';
import type { LaneTurns, TurnTaker } from './lane-turns.ts';
import type { UplinkLog, UplinkRecord } from './ports.ts';
import type { ReplayPace } from './replay-pace.ts';
import type { EdgeRules } from './rules/edge-rules.ts';

/** Spooled publications held in memory for one lane: past it the lane reads the spool. */
const windowBounds = { countMax: 4_096, bytesMax: 4 * 1024 * 1024 };

/** QoS 0 that waits for one lane. */
const liveBounds = { countMax: 10_000, bytesMax: 8 * 1024 * 1024 };

export interface LaneUplinkParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly spool: UplinkLog;
  readonly rules: EdgeRules;
  readonly canary: Canary;
  readonly flow: FlowCounters;
}

/** What the lanes of one link share. */
export interface LinkShare {
  readonly turns: LaneTurns;
  readonly pace: ReplayPace;
  /** One for each lane; null on a link without compression. */
  readonly deflater: () => PayloadDeflater | null;
}

export interface LaneUplinkOutlet {
  /** False when the stream's buffer is full, until `drained`. */
  write(message: NonNullable<LaneRequest['message']>): boolean;
  fail(reason: string): void;
}

export class LaneUplink implements TurnTaker {
  readonly #parts: LaneUplinkParts;
  readonly #turns: LaneTurns;
  readonly #deflater: PayloadDeflater | null;
  readonly #replay: LaneReplay;
  readonly #lane: number;
  readonly #outlet: LaneUplinkOutlet;
  readonly #encoder = new TopicEncoder();
  readonly #window = new Batcher(windowBounds);
  readonly #live = new Batcher(liveBounds);
  readonly #underway: SendWindow;
  /** The lane sequence that the window takes next. */
  #next = 1;
  #acknowledged = 0;
  #credit = 0;
  #isWritable = true;
  #isOpen = false;
  #isClosed = false;
  #reading: Promise<void> | null = null;

  constructor(
    parts: LaneUplinkParts,
    lane: number,
    of: { readonly outlet: LaneUplinkOutlet; readonly share: LinkShare },
  ) {
    const { clock, flow, spool } = parts;
    const { pace, turns } = of.share;
    const priority = spool.priorityOf(lane);
    this.#parts = parts;
    this.#lane = lane;
    this.#outlet = of.outlet;
    this.#turns = turns;
    this.#deflater = of.share.deflater();
    this.#underway = new SendWindow(clock);
    this.#replay = new LaneReplay(
      { spool, pace, readBack: flow.readBack },
      {
        lane,
        priority,
        next: () => this.#next,
        acknowledged: () => this.#acknowledged,
        admit: (record) => this.#admit(record),
        wake: () => this.#wake(),
      },
    );
    turns.add(this, priority);
  }

  /** Reading the spool, because the window does not hold what comes next. */
  get isBehind(): boolean {
    return this.#reading !== null;
  }

  /** Takes records as they become durable. */
  get isLive(): boolean {
    return this.#isOpen && !this.#isClosed && !this.isBehind;
  }

  open(opened: LaneOpened): void {
    const { durableThrough, creditBytes } = opened;
    this.#acknowledged = this.#parts.spool.acknowledgedOf(this.#lane);
    this.acknowledge(durableThrough);
    this.#next = durableThrough + 1;
    this.#credit = creditBytes;
    this.#isOpen = true;
    this.#replay.beginBehind();
    this.#read();
  }

  /** Bytes that the core lets this lane send. */
  get credit(): number {
    return this.#isClosed ? 0 : this.#credit;
  }

  /** Records that just became durable, in order; all of this lane. */
  take(records: readonly UplinkRecord[]): void {
    if (!this.isLive) return;
    for (const record of records) {
      if (record.laneSequence < this.#next) continue;
      if (record.laneSequence > this.#next || !this.#admit(record)) {
        this.#replay.fallBehind();
        this.#read();
        break;
      }
    }
    this.#wake();
  }

  /** The spool no longer holds back what follows. */
  released(): void {
    if (this.isLive) this.#read();
  }

  /** QoS 0. False when the lane is full. */
  offer(publication: Publication): boolean {
    if (!this.#isOpen || this.#isClosed) return false;
    // It may wait longer than the buffer that it is a view of.
    const kept = withPayload(publication, Buffer.from(publication.payload));
    const isTaken = this.#live.offer({ sequence: 0, publication: kept });
    this.#wake();
    return isTaken;
  }

  /** The core has everything up to this sequence on disk. */
  acknowledge(through: number): void {
    const { canary, ledger, spool } = this.#parts;
    if (through <= this.#acknowledged) return;
    const canaries = canary.acknowledged(this.#lane, this.#acknowledged + 1, through);
    ledger.uplinked.add(through - this.#acknowledged - canaries);
    this.#acknowledged = through;
    spool.acknowledge(this.#lane, through);
    this.#underway.acknowledged(through);
    this.#replay.acknowledged();
    this.#wake();
  }

  grant(bytes: number): void {
    this.#credit += bytes;
    this.#wake();
  }

  drained(): void {
    this.#isWritable = true;
    this.#wake();
  }

  /** QoS 0 first: it waits for one batch of the rest at most, and the rest for one of QoS 0. */
  send(): number {
    if (this.#isClosed) return 0;
    return this.#sendLive() + this.#sendSpooled();
  }

  rest(): void {
    if (this.#window.isHalfEmpty) this.#replay.room();
  }

  /** Resolves when nothing of it reads the spool any more. QoS 0 that waited is counted. */
  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      if (this.#live.length > 0) this.#parts.ledger.dropped('link-down-qos0', this.#live.length);
      this.#live.clear();
      this.#window.clear();
      this.#replay.close();
    }
    await this.#reading;
  }

  #admit(record: UplinkRecord): boolean {
    const { laneSequence, publication } = record;
    if (!this.#window.offer({ sequence: laneSequence, publication })) return false;
    this.#next = laneSequence + 1;
    return true;
  }

  #read(): void {
    this.#reading ??= this.#replay.run().then(
      () => {
        this.#reading = null;
      },
      (error: unknown) => {
        this.#reading = null;
        this.#parts.log.error({ err: error, lane: this.#lane }, 'spool cannot be read');
        this.#outlet.fail('the spool cannot be read');
      },
    );
  }

  /** Sends with what else comes in this turn of the event loop, when it is this lane's turn. */
  #wake(): void {
    if (!this.#isClosed) this.#turns.wake();
  }

  #sendSpooled(): number {
    if (!this.#isWritable || this.#credit <= 0 || this.#underway.isFull) return 0;
    const items = this.#window.take(this.#window.isBacklogged ? grownBatch : plainBatch);
    const through = items.at(-1)?.sequence ?? 0;
    if (through === 0) return 0;
    const bytes = this.#write(items);
    this.#credit -= bytes;
    this.#underway.sent(through, bytes);
    this.#parts.spool.noteSent(this.#lane, through);
    return 1;
  }

  #sendLive(): number {
    if (!this.#isWritable) return 0;
    const items = this.#live.take();
    if (items.length === 0) return 0;
    this.#write(items);
    this.#parts.ledger.uplinked.add(items.length);
    return 1;
  }

  #write(items: readonly Sequenced[]): number {
    const outgoing = this.#parts.rules.outgoing(items);
    if (outgoing.length === 0) return 0;
    const batch = this.#encoder.encode(outgoing, { now: this.#parts.clock.now() });
    this.#deflater?.apply(batch);
    this.#isWritable = this.#outlet.write({ $case: 'batch', value: batch });
    return batchBytes(batch);
  }
}
