/**
 * What every core makes of one lane's stream: batches in order, and how far each source has come in
 * it. All of them read the same messages and come to the same, whoever wrote them.
 */
import type { Clock } from '../../../base/clock.ts';
import { messageOf } from '../../../base/errors.ts';
import type { Logger } from '../../../base/log.ts';
import type { Counter } from '../../../base/metrics.ts';
import type { SourcePlace } from '../../../base/source.ts';
import { type Followed, Follower } from './follower.ts';
import {
  emptyBatch,
  NatsBatch,
  type SourceRange,
  type StoredMessage,
  storedMessage,
} from './log-message.ts';
import type { Names } from './names.ts';
import type { NatsLink } from './nats-link.ts';
import { keyOf, type SourceMark, type SourceMarks } from './source-marks.ts';

const retryMs = 200;

export interface LaneReaderParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly link: NatsLink;
  readonly names: Names;
  readonly unreadable: Counter;
  readonly marks: SourceMarks;
}

/** As far as a lane was read: by this a core that starts goes on. */
export interface LaneState {
  readonly seq: number;
  /** Identifier of the message there; empty for none. */
  readonly id: string;
  readonly marks: readonly SourceMark[];
}

export interface LaneReaderOptions {
  readonly lane: number;
  readonly logEpoch: string;
  readonly from: LaneState;
  /** Each message of the stream, in order; an empty batch for one that has nothing to tell. */
  readonly take: (batch: NatsBatch, id: string) => void;
}

export class LaneReader {
  readonly #parts: LaneReaderParts;
  readonly #options: LaneReaderOptions;
  readonly #marks = new Map<string, SourceMark>();
  /** The epochs of each edge in this lane, the newest last. */
  readonly #epochs = new Map<string, string[]>();
  readonly #follower: Follower;
  #waiting: { readonly seq: number; readonly resolve: () => void }[] = [];
  /** What comes while a message is put together from its parts. */
  #held: Followed[] | null = null;
  #seq: number;
  #id: string;
  #isClosed = false;

  constructor(parts: LaneReaderParts, options: LaneReaderOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#seq = options.from.seq;
    this.#id = options.from.id;
    for (const mark of options.from.marks) this.#mark(mark);
    this.#follower = new Follower(parts, {
      stream: parts.names.logStream(options.lane),
      from: options.from.seq + 1,
      take: (followed) => this.#followed(followed),
    });
  }

  /** The last message that was read. */
  get seq(): number {
    return this.#seq;
  }

  get reachedState(): Pick<LaneState, 'seq' | 'id'> {
    return { seq: this.#seq, id: this.#id };
  }

  get state(): LaneState {
    const marks = [...this.#marks.values()].map((mark) => {
      return { ...mark, whole: this.#parts.marks.through(mark) ?? 0 };
    });
    return { seq: this.#seq, id: this.#id, marks };
  }

  /** Resolves when that message was read, or when the reader is closed. */
  reached(seq: number): Promise<void> {
    if (this.#seq >= seq || this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ seq, resolve }));
  }

  close(): void {
    this.#isClosed = true;
    this.#held = null;
    this.#follower.close();
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  #followed(followed: Followed): void {
    if (this.#held !== null) {
      this.#held.push(followed);
      return;
    }
    const message = storedMessage(followed.message, followed);
    if (message === null || message.parts.length === 0) this.#take(followed.seq, message);
    else {
      this.#held = [];
      this.#assemble(message).catch((error: unknown) => {
        this.#parts.log.error({ err: error }, 'log message cannot be put together');
      });
    }
  }

  async #assemble(message: StoredMessage): Promise<void> {
    const { clock, link, log, names } = this.#parts;
    const stream = names.logStream(this.#options.lane);
    for (;;) {
      try {
        this.#take(message.seq, await wholeMessage(link, stream, message));
        break;
      } catch (error) {
        if (this.#isClosed) return;
        log.debug({ stream, reason: messageOf(error) }, 'log message is not whole yet');
        await new Promise<void>((resolve) => clock.after(retryMs, resolve));
      }
    }
    const held = this.#held ?? [];
    this.#held = null;
    for (const followed of held) this.#followed(followed);
  }

  #take(seq: number, message: StoredMessage | null): void {
    if (this.#isClosed) return;
    const { lane, logEpoch, take } = this.#options;
    this.#seq = seq;
    this.#id = message?.id ?? '';
    if (message === null || message.isPart || message.logEpoch !== logEpoch) {
      take(emptyBatch(lane, seq), '');
    } else {
      take(this.#batchOf(message), message.id);
    }
    while (this.#waiting.length > 0) {
      const reached = this.#waiting.findIndex((one) => one.seq <= seq);
      if (reached < 0) break;
      this.#waiting.splice(reached, 1)[0]?.resolve();
    }
  }

  #batchOf(message: StoredMessage): NatsBatch {
    const before = this.#repeatedIn(message.ranges);
    const isRepeat =
      before === null
        ? null
        : ({ source, sequence }: SourcePlace) =>
            sequence <= (before.get(`${source.epoch} ${source.lane}`) ?? 0);
    const { lane } = this.#options;
    const onFault = (error: unknown) => {
      this.#parts.unreadable.add();
      this.#parts.log.error({ err: error, lane, seq: message.seq }, 'log message unreadable');
    };
    const batch = new NatsBatch(lane, message, { onFault, isRepeat });
    for (const range of message.ranges) this.#note(range, batch);
    return batch;
  }

  /** Up to where sources of the message had been in the stream before; null when none repeats. */
  #repeatedIn(ranges: readonly SourceRange[]): ReadonlyMap<string, number> | null {
    let before: Map<string, number> | null = null;
    for (const range of ranges) {
      const through = this.#marks.get(keyOf(range))?.through ?? 0;
      if (range.first > through) continue;
      before ??= new Map();
      before.set(`${range.epoch} ${range.lane}`, through);
    }
    return before;
  }

  #note(range: SourceRange, batch: NatsBatch): void {
    const { origin, epoch, lane, first, last, count, base } = range;
    const source = { origin, epoch, lane };
    const through = Math.max(this.#marks.get(keyOf(source))?.through ?? 0, last);
    this.#mark({ ...source, through });
    const { marks } = this.#parts;
    marks.raise(source, base);
    if (count === last - first + 1) {
      marks.add(source, first, last);
      return;
    }
    for (const [index] of batch.publications.entries()) {
      const place = batch.placeAt(index);
      if (place?.source.epoch !== epoch || place.source.lane !== lane) continue;
      marks.add(source, place.sequence, place.sequence);
    }
  }

  /** What an edge wrote with spools that it no longer has is forgotten, but for the one before. */
  #mark(mark: SourceMark): void {
    const { origin, epoch } = mark;
    this.#marks.set(keyOf(mark), mark);
    const epochs = this.#epochs.get(origin) ?? [];
    if (epochs.includes(epoch)) return;
    this.#epochs.set(origin, [...epochs.slice(-1), epoch]);
    const [oldest] = epochs;
    if (epochs.length < 2 || oldest === undefined) return;
    for (const [key, one] of this.#marks) {
      if (one.origin === origin && one.epoch === oldest) this.#marks.delete(key);
    }
  }
}

/** Puts the body of a message together that was too large for one. */
export async function wholeMessage(
  link: NatsLink,
  stream: string,
  message: StoredMessage,
): Promise<StoredMessage> {
  const bodies: Uint8Array[] = [];
  for (const seq of message.parts) {
    const part = (await link.stored(stream, { seq })) ?? (await link.storedAtLeader(stream, seq));
    if (part === null) throw new Error(`part ${seq} is not there`);
    bodies.push(part.data);
  }
  return { ...message, parts: [], body: Buffer.concat([...bodies, message.body]) };
}
