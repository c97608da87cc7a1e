/**
 * What goes up one lane while a link is up. Spooled publications go in the order of their lane
 * sequence, from the core's watermark on: live ones as they become durable, and from the spool when
 * the lane is behind. QoS 0 rides beside them, in batches of its own.
 */
import type { Clock } from '../base/clock.ts';
import type { Ledger } from '../base/ledger.ts';
import type { Logger } from '../base/log.ts';
import { type Publication, withPayload } from '../base/publication.ts';
import { batchBytes } from '../proto/batch-bytes.ts';
import type { LaneOpened, LaneRequest } from '../proto/gen/trunkline/v1/trunk.ts';
import { type Sequenced, TopicEncoder } from '../proto/wire.ts';
import { Batcher } from './batcher.ts';
import type { UplinkLog, UplinkRecord } from './ports.ts';

/** Spooled publications held in memory for one lane: past it the lane reads the spool. */
const windowBounds = { countMax: 4_096, bytesMax: 4 * 1024 * 1024 };

/** QoS 0 that waits for one lane. */
const liveBounds = { countMax: 10_000, bytesMax: 8 * 1024 * 1024 };

/** Batches of one turn: then the other lanes and the devices have theirs. */
const turnBatchesMax = 16;

export interface LaneUplinkParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly spool: UplinkLog;
}

export interface LaneUplinkOutlet {
  /** False when the stream's buffer is full, until `drained`. */
  write(message: NonNullable<LaneRequest['message']>): boolean;
  fail(reason: string): void;
}

export class LaneUplink {
  readonly #parts: LaneUplinkParts;
  readonly #lane: number;
  readonly #outlet: LaneUplinkOutlet;
  readonly #encoder = new TopicEncoder();
  readonly #window = new Batcher(windowBounds);
  readonly #live = new Batcher(liveBounds);
  /** The lane sequence that the window takes next. */
  #next = 1;
  #acknowledged = 0;
  #credit = 0;
  #isWritable = true;
  #isOpen = false;
  #isClosed = false;
  #turn: NodeJS.Immediate | null = null;
  #reading: Promise<void> | null = null;
  #resumeReading: (() => void) | null = null;
  #onAcknowledged: () => void = () => {};

  constructor(parts: LaneUplinkParts, lane: number, outlet: LaneUplinkOutlet) {
    this.#parts = parts;
    this.#lane = lane;
    this.#outlet = outlet;
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
    this.#acknowledged = this.#parts.spool.oldestOf(this.#lane) - 1;
    this.acknowledge(durableThrough);
    this.#next = durableThrough + 1;
    this.#credit = creditBytes;
    this.#isOpen = true;
    this.#read();
  }

  /** Records that just became durable, in order; all of this lane. */
  take(records: readonly UplinkRecord[]): void {
    if (!this.isLive) return;
    for (const record of records) {
      if (record.laneSequence < this.#next) continue;
      if (record.laneSequence > this.#next || !this.#admit(record)) {
        this.#read();
        break;
      }
    }
    this.#wake();
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
    const { ledger, spool } = this.#parts;
    if (through <= this.#acknowledged) return;
    ledger.uplinked.add(through - this.#acknowledged);
    this.#acknowledged = through;
    spool.acknowledge(this.#lane, through);
    this.#onAcknowledged();
  }

  grant(bytes: number): void {
    this.#credit += bytes;
    this.#wake();
  }

  drained(): void {
    this.#isWritable = true;
    this.#wake();
  }

  /** Resolves when nothing of it reads the spool any more. QoS 0 that waited is counted. */
  async close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      if (this.#live.length > 0) this.#parts.ledger.dropped('link-down-qos0', this.#live.length);
      if (this.#turn !== null) clearImmediate(this.#turn);
      this.#live.clear();
      this.#window.clear();
      this.#resumeReading?.();
      this.#onAcknowledged();
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
    this.#reading ??= this.#catchUp().then(
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

  /** Ends in the same turn in which it finds nothing newer, so that no live record falls between. */
  async #catchUp(): Promise<void> {
    const { spool } = this.#parts;
    while (!this.#isClosed && this.#next <= spool.newestOf(this.#lane)) {
      const before = this.#next;
      for await (const chunk of spool.readLane(this.#lane, before)) {
        await this.#admitAll(chunk);
        if (this.#isClosed) return;
      }
      if (this.#next === before) await this.#reachGap();
    }
  }

  async #admitAll(records: readonly UplinkRecord[]): Promise<void> {
    for (const record of records) {
      if (record.laneSequence < this.#next) continue;
      if (record.laneSequence > this.#next) await this.#reachGap();
      while (!this.#isClosed && !this.#admit(record)) await this.#room();
      if (this.#isClosed) return;
    }
    this.#wake();
  }

  /** The next sequence is damaged. What is before it goes up first; then the link ends, and the
   * spool lets the next one begin behind it. */
  async #reachGap(): Promise<void> {
    this.#wake();
    while (!this.#isClosed && this.#acknowledged < this.#next - 1) {
      await new Promise<void>((resolve) => {
        this.#onAcknowledged = resolve;
      });
    }
    if (this.#isClosed) return;
    throw new Error(`lane ${this.#lane} of the spool lacks sequence ${this.#next}`);
  }

  #room(): Promise<void> {
    this.#wake();
    return new Promise((resolve) => {
      this.#resumeReading = resolve;
    });
  }

  /** Sends in the next turn, together with what else comes in this one. */
  #wake(): void {
    if (this.#turn !== null || this.#isClosed) return;
    this.#turn = setImmediate(() => {
      this.#turn = null;
      this.#send();
    });
  }

  #send(): void {
    let batches = 0;
    while (this.#isWritable && !this.#isClosed) {
      if (batches >= turnBatchesMax) {
        this.#wake();
        break;
      }
      const sent = this.#sendSpooled() + this.#sendLive();
      if (sent === 0) break;
      batches += sent;
    }
    if (this.#window.isHalfEmpty) {
      this.#resumeReading?.();
      this.#resumeReading = null;
    }
  }

  #sendSpooled(): number {
    if (this.#credit <= 0) return 0;
    const items = this.#window.take();
    if (items.length === 0) return 0;
    this.#credit -= this.#write(items);
    this.#parts.spool.noteSent(this.#lane, items.at(-1)?.sequence ?? 0);
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
    const batch = this.#encoder.encode(items, { now: this.#parts.clock.now() });
    this.#isWritable = this.#outlet.write({ $case: 'batch', value: batch });
    return batchBytes(batch);
  }
}
