/**
 * What goes down one lane to an edge, in one stream with one topic table: retained messages for new
 * filters, QoS 0 as it comes, and the log from the edge's cursor on, each filtered by the edge's
 * interest. Nothing leaves without credit; what waits is bounded.
 */
import { BoundedQueue } from '../../base/bounded-queue.ts';
import { canariesIn } from '../../base/canary.ts';
import type { Clock } from '../../base/clock.ts';
import type { Ledger } from '../../base/ledger.ts';
import {
  batchBytesTarget,
  batchMessagesMax,
  grownBatchBytesTarget,
  grownBatchMessagesMax,
} from '../../base/limits.ts';
import { type Publication, publicationBytes } from '../../base/publication.ts';
import { SendWindow } from '../../base/send-window.ts';
import { batchBytes } from '../../proto/batch-bytes.ts';
import { emptyBatch } from '../../proto/batch-codec.ts';
import type { PayloadDeflater } from '../../proto/deflate.ts';
import type { Batch } from '../../proto/gen/trunkline/v1/publication.ts';
import { type Sequenced, TopicEncoder } from '../../proto/wire.ts';
import type { LaneOutlet } from './lane-outlet.ts';
import type { LogCursor } from './log-cursor.ts';

/** QoS 0 that waits for one lane of one edge. */
const liveMessagesMax = 10_000;
const liveBytesMax = 8 * 1024 * 1024;

/** Batches of one turn: then other lanes and edges have theirs. */
const turnBatchesMax = 16;

/** How often an edge hears of positions that nothing of its interest stood at. */
const idleThroughMs = 1_000;

export interface DownlinkParts {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly cursor: LogCursor;
  /** Null for an edge that does not take deflated payloads. */
  readonly deflater: PayloadDeflater | null;
}

/** Retained messages for new filters. */
export interface RetainedSnapshot {
  readonly publications: readonly Publication[];
  /** Of the interest that asked for them. */
  readonly version: number;
  /** Whether it is still what its topic has. What came in its place goes by the log, and may have
   * gone before. */
  readonly isCurrent: (publication: Publication) => boolean;
}

interface Snapshot extends RetainedSnapshot {
  at: number;
}

export class DownlinkSender {
  readonly #parts: DownlinkParts;
  readonly #outlet: LaneOutlet;
  readonly #encoder = new TopicEncoder();
  readonly #live = new BoundedQueue<Publication>({
    countMax: liveMessagesMax,
    bytesMax: liveBytesMax,
    bytesOf: publicationBytes,
  });
  readonly #snapshots: Snapshot[] = [];
  readonly #underway: SendWindow;
  #credit: number;
  #isWritable = true;
  #isStarted = false;
  #isClosed = false;
  /** The last batch of the log closed because it was full: more than a plain one waits. */
  #isBacklogged = false;
  #turn: NodeJS.Immediate | null = null;
  #toldThrough: number;
  #toldAt: number;

  constructor(parts: DownlinkParts, outlet: LaneOutlet, options: { creditBytes: number }) {
    this.#parts = parts;
    this.#outlet = outlet;
    this.#credit = options.creditBytes;
    this.#underway = new SendWindow(parts.clock);
    this.#toldThrough = parts.cursor.position;
    this.#toldAt = parts.clock.elapsed();
    parts.cursor.onLoaded(() => this.wake());
  }

  /** The log goes out once the edge's interest is known, or the cursor would pass what it wants. */
  start(): void {
    this.#isStarted = true;
    this.wake();
  }

  /** QoS 0; dropped and counted when the edge does not take what waits. */
  offer(publication: Publication): void {
    if (this.#live.offer(publication)) this.wake();
    else this.#parts.ledger.dropped('slow-reader');
  }

  /** Retained messages for new filters, then word that the version is reached on this lane. */
  sendRetained(snapshot: RetainedSnapshot): void {
    this.#snapshots.push({ ...snapshot, at: 0 });
    this.wake();
  }

  grant(bytes: number): void {
    this.#credit += bytes;
    this.wake();
  }

  /** The edge has dealt with the log up to this position. */
  acknowledged(through: number): void {
    this.#underway.acknowledged(through);
    this.wake();
  }

  drained(): void {
    this.#isWritable = true;
    this.wake();
  }

  /** Sends in the next turn, together with whatever else comes in this one. */
  wake(): void {
    if (this.#turn !== null || this.#isClosed) return;
    this.#turn = setImmediate(() => {
      this.#turn = null;
      this.#send();
    });
  }

  /** Asked every so often: an idle cursor is told to the edge. */
  tick(): void {
    const { clock, cursor } = this.#parts;
    if (!this.#isStarted || cursor.position === this.#toldThrough || !this.#canSend()) return;
    if (clock.elapsed() - this.#toldAt < idleThroughMs) return;
    this.#write({ ...emptyBatch(), throughSequence: cursor.position });
    this.#told();
  }

  /** Idempotent. QoS 0 that waited is counted. */
  close(): void {
    this.#isClosed = true;
    if (this.#turn !== null) clearImmediate(this.#turn);
    if (this.#live.length > 0) this.#parts.ledger.dropped('link-down-qos0', this.#live.length);
    this.#live.clear();
    this.#snapshots.length = 0;
    this.#parts.cursor.close();
  }

  #canSend(): boolean {
    return this.#isWritable && !this.#isClosed && this.#credit > 0;
  }

  #send(): void {
    let batches = 0;
    while (this.#canSend()) {
      if (batches >= turnBatchesMax) {
        this.wake();
        return;
      }
      const sent = this.#sendSnapshot() + this.#sendLive() + this.#sendLogged();
      if (sent === 0) return;
      batches += sent;
    }
  }

  #sendSnapshot(): number {
    const snapshot = this.#snapshots[0];
    if (snapshot === undefined) return 0;
    const items: Sequenced[] = [];
    let bytes = 0;
    while (snapshot.at < snapshot.publications.length && !isFull(items.length, bytes)) {
      const publication = snapshot.publications[snapshot.at] as Publication;
      snapshot.at++;
      if (!snapshot.isCurrent(publication)) continue;
      bytes += publicationBytes(publication);
      items.push({ sequence: 0, publication });
    }
    if (items.length > 0) this.#write(this.#encode(items));
    if (snapshot.at >= snapshot.publications.length) {
      this.#snapshots.shift();
      this.#isWritable =
        this.#outlet.write({ $case: 'interestReached', value: { version: snapshot.version } }) &&
        this.#isWritable;
    }
    return 1;
  }

  #sendLive(): number {
    if (this.#live.length === 0 || !this.#canSend()) return 0;
    const items: Sequenced[] = [];
    let bytes = 0;
    while (!isFull(items.length, bytes)) {
      const publication = this.#live.take();
      if (publication === undefined) break;
      bytes += publicationBytes(publication);
      items.push({ sequence: 0, publication });
    }
    this.#write(this.#encode(items));
    return 1;
  }

  #sendLogged(): number {
    if (!this.#isStarted || !this.#canSend() || this.#underway.isFull) return 0;
    const isClosed = this.#isBacklogged ? isGrown : isFull;
    const items: Sequenced[] = [];
    let bytes = 0;
    while (!isClosed(items.length, bytes)) {
      const item = this.#parts.cursor.next();
      if (item === null) break;
      if (item === 'later') {
        this.wake();
        break;
      }
      bytes += publicationBytes(item.publication);
      items.push(item);
    }
    this.#isBacklogged = isFull(items.length, bytes);
    if (items.length === 0) return 0;
    const { position } = this.#parts.cursor;
    this.#underway.sent(position, this.#write(this.#encode(items, position)));
    this.#told();
    return 1;
  }

  #encode(items: readonly Sequenced[], through?: number): Batch {
    const now = this.#parts.clock.now();
    this.#parts.ledger.downlinked.add(items.length - canariesIn(items));
    return this.#encoder.encode(items, through === undefined ? { now } : { now, through });
  }

  #write(batch: Batch): number {
    const bytes = batchBytes(batch);
    this.#credit -= bytes;
    this.#parts.deflater?.apply(batch);
    this.#isWritable = this.#outlet.write({ $case: 'batch', value: batch });
    return bytes;
  }

  #told(): void {
    this.#toldThrough = this.#parts.cursor.position;
    this.#toldAt = this.#parts.clock.elapsed();
  }
}

function isFull(count: number, bytes: number): boolean {
  return count >= batchMessagesMax || bytes >= batchBytesTarget;
}

function isGrown(count: number, bytes: number): boolean {
  return count >= grownBatchMessagesMax || bytes >= grownBatchBytesTarget;
}
