/**
 * Runs that wait for room in a window, in order. They stay whole: what there is room for leaves as
 * one write, and only what has to queue with single messages is taken apart.
 */
import type { Limits } from '../base/config.ts';
import type { Publication, Qos } from '../base/publication.ts';
import { type FrameForm, type FrameRange, FrameWalk, Run } from '../proto/run.ts';
import { publishFrame } from './connection/frames.ts';
import { type Delivery, deliveriesOf, type FrameSink } from './delivery.ts';
import type { DeliveryBooks } from './delivery-books.ts';
import type { DeliveryQueue } from './delivery-queue.ts';
import type { InflightWindow } from './inflight-window.ts';
import type { OutboxSender } from './outbox-sender.ts';
import { takesRuns, writeFrames } from './run-writer.ts';
import type { SessionJournal } from './session-journal.ts';

const noProperties = Buffer.from([0]);

/** Some messages of a run, one behind the other. */
interface RunPart {
  /** Of the frames that leave. */
  readonly form: FrameForm;
  readonly qos: Qos;
  /** Of the first message, 0 for what is not in the log. */
  readonly sequence: number;
  /** The session outlives its connection. */
  readonly isOwed: boolean;
  readonly count: number;
  /** Those of the messages, and maybe more behind them. */
  readonly frames: FrameRange;
}

/** Of a run that waits, memory that is more than this many times as large is let go. */
const pinnedFactorMax = 2;

function firstFrames(frames: FrameRange, topicBytes: number, count: number): FrameRange {
  const walk = new FrameWalk(frames, topicBytes);
  for (let left = count; left > 0; left--) walk.next();
  return { buffer: frames.buffer, start: frames.start, end: walk.end };
}

/** In memory that is not much larger than they are. */
function unpinned(frames: FrameRange): FrameRange {
  const { buffer, start, end } = frames;
  if (buffer.buffer.byteLength <= (end - start) * pinnedFactorMax) return frames;
  return { buffer: Buffer.from(buffer.subarray(start, end)), start: 0, end: end - start };
}

/** A run in the form that it leaves in, and how far it has left. */
class WaitingRun {
  readonly #run: Run;
  readonly #sequence: number;
  readonly #isOwed: boolean;
  #rest: FrameRange;
  #left: number;

  constructor(run: Run, { form, qos, sequence, isOwed, count, frames }: RunPart) {
    const { topic, topicBytes, acceptedAt, origin } = run;
    const own = unpinned(firstFrames(frames, topicBytes, count));
    this.#run = new Run({ topic, topicBytes, qos, form, count, acceptedAt, origin }, own);
    this.#sequence = sequence;
    this.#isOwed = isOwed;
    this.#rest = own;
    this.#left = count;
  }

  /** Messages that have not left. */
  get left(): number {
    return this.#left;
  }

  get acceptedAt(): number {
    return this.#run.acceptedAt;
  }

  get bytes(): number {
    return this.#rest.end - this.#rest.start;
  }

  /** Sends so many of them at most. */
  send(sink: FrameSink, on: { readonly window: InflightWindow; readonly room: number }): void {
    const { topicBytes, qos } = this.#run;
    const owed = this.#isOwed ? this.#sequence + this.#run.count - this.#left : 0;
    const count = Math.min(on.room, this.#left);
    const leaving = firstFrames(this.#rest, topicBytes, count);
    this.#rest = { buffer: leaving.buffer, start: leaving.end, end: this.#rest.end };
    this.#left -= count;
    writeFrames(sink, leaving, { topicBytes, qos, window: on.window, owed });
  }

  /** What has not left, one by one. */
  deliveries(): Delivery[] {
    const all = deliveriesOf(this.#run, this.#sequence, this.#run.qos);
    return all.slice(all.length - this.#left);
  }
}

/** Nothing about it is its own: its frame is as those of a run. */
function isPlain({ publication, retain, identifiers, owner }: Delivery): boolean {
  return publication?.properties === null && !retain && identifiers.length === 0 && owner === null;
}

function runOf({ publication, qos }: Delivery, form: FrameForm): Run {
  const { topic, payload, acceptedAt, origin } = publication as Publication;
  const properties = form === 5 ? noProperties : null;
  const head = { qos, retain: false, dup: false, packetId: 0, properties };
  const buffer = Buffer.concat(publishFrame(topic, payload, head));
  return new Run(
    { topic, topicBytes: Buffer.byteLength(topic), qos, form, count: 1, acceptedAt, origin },
    { buffer, start: 0, end: buffer.length },
  );
}

/** What waits for one session, and how far it is. */
export interface OutboxFigures {
  readonly roundTripUs: number;
  readonly bytes: number;
  /** When the oldest was accepted, or, as a reference, began to wait; 0 for none. */
  readonly oldestAt: number;
}

export function figuresOf(
  queue: DeliveryQueue,
  runs: RunQueue,
  { roundTripUs }: InflightWindow,
): OutboxFigures {
  const oldestAt = queue.oldestAt || runs.oldestAt;
  return { bytes: queue.bytes + runs.bytes, oldestAt, roundTripUs };
}

export interface RunQueueParts {
  /** Null for a session that ends with its connection. */
  readonly journal: SessionJournal | null;
  /** Of what comes by itself; goes first. */
  readonly queue: DeliveryQueue;
  readonly books: DeliveryBooks;
  readonly sender: OutboxSender;
  readonly inflight: InflightWindow;
}

export class RunQueue {
  readonly #limits: Limits;
  readonly #parts: RunQueueParts;
  #runs: WaitingRun[] = [];
  #length = 0;
  #bytes = 0;

  constructor(limits: Limits, parts: RunQueueParts) {
    this.#limits = limits;
    this.#parts = parts;
  }

  /** Messages that wait. */
  get length(): number {
    return this.#length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** When the oldest was accepted; 0 for none. */
  get oldestAt(): number {
    return this.#runs[0]?.acceptedAt ?? 0;
  }

  /** Sends it, as far as there is room, and keeps the rest; false when it has to be taken apart. The
   * sequence is that of its first message, 0 for what is not in the log. */
  offer(run: Run, qos: Qos, sequence: number): boolean {
    const { journal, sender, inflight } = this.#parts;
    const { sink } = sender;
    if (sink === null || !takesRuns(sink)) return false;
    // What is written down goes by itself.
    if (journal !== null && (qos === 2 || sequence === 0)) return false;
    const frames = run.framesFor(sink.version, qos);
    const room = this.#length === 0 ? sender.room : 0;
    if (room < run.count) return this.#offerPart(run, { sink, frames, qos, sequence, room });
    journal?.expectRun(sequence, run.count);
    const owed = journal === null ? 0 : sequence;
    writeFrames(sink, frames, { topicBytes: run.topicBytes, qos, window: inflight, owed });
    return true;
  }

  #offerPart(
    run: Run,
    on: { sink: FrameSink; frames: FrameRange; qos: Qos; sequence: number; room: number },
  ): boolean {
    const { sink, frames, qos, sequence, room } = on;
    const { books, inflight, journal } = this.#parts;
    const { topicBytes } = run;
    const leaving = firstFrames(frames, topicBytes, room);
    const rest = { buffer: frames.buffer, start: leaving.end, end: frames.end };
    const count = run.count - room;
    const fitting = this.#fitting(rest, topicBytes, count);
    if (fitting < count && this.#limits.queue_overflow === 'drop-oldest') return false;
    journal?.expectRun(sequence, room + fitting);
    const owed = journal === null ? 0 : sequence;
    if (room > 0) writeFrames(sink, leaving, { topicBytes, qos, window: inflight, owed });
    if (fitting < count) {
      books.dropped('queue-full', count - fitting);
      journal?.skipped(sequence + run.count - 1);
    }
    if (fitting > 0) {
      const first = sequence === 0 ? 0 : sequence + room;
      const isOwed = journal !== null;
      const part = {
        form: sink.version,
        qos,
        sequence: first,
        isOwed,
        count: fitting,
        frames: rest,
      };
      this.#keep(new WaitingRun(run, part));
    }
    return true;
  }

  /** Keeps a message that comes behind runs as a run of one; false when it is to be queued. */
  follow(delivery: Delivery): boolean {
    const { sink } = this.#parts.sender;
    if (sink === null || !isPlain(delivery)) return false;
    return this.offer(runOf(delivery, sink.version), delivery.qos, delivery.sequence);
  }

  #keep(run: WaitingRun): void {
    this.#runs.push(run);
    this.#length += run.left;
    this.#bytes += run.bytes;
  }

  /** How many of its first messages there is room for; an empty queue takes one in any case. */
  #fitting(frames: FrameRange, topicBytes: number, count: number): number {
    const { queue } = this.#parts;
    const length = queue.length + this.#length;
    const least = length === 0 ? 1 : 0;
    const most = Math.min(count, this.#limits.queue_messages - length);
    const bytes = this.#limits.queue_bytes - queue.bytes - this.#bytes;
    if (frames.end - frames.start <= bytes) return Math.max(most, least);
    const walk = new FrameWalk(frames, topicBytes);
    let fitting = 0;
    while (fitting < most && walk.next() && walk.end - frames.start <= bytes) fitting++;
    return Math.max(fitting, least);
  }

  /** Sends what there is room for. */
  pump(): void {
    const { sender, inflight: window } = this.#parts;
    const { sink } = sender;
    if (sink === null) return;
    for (let run = this.#runs[0]; run !== undefined && sender.room > 0; run = this.#runs[0]) {
      const { left, bytes } = run;
      run.send(sink, { window, room: sender.room });
      this.#length -= left - run.left;
      this.#bytes -= bytes - run.bytes;
      if (run.left === 0) this.#runs.shift();
    }
  }

  /** Empties it; each message by itself, in order. */
  takeApart(): Delivery[] {
    const deliveries = this.#runs.flatMap((run) => run.deliveries());
    this.clear();
    return deliveries;
  }

  /** Answers how many messages there were. */
  clear(): number {
    const length = this.#length;
    this.#runs = [];
    this.#length = 0;
    this.#bytes = 0;
    return length;
  }
}
