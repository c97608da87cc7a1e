/**
 * Writes one lane of the log: what waits goes in one message, and the next goes when the stream has
 * taken that one. So a source's sequences never have a gap in the stream, whatever a server or the
 * connection does, and a message says what stood before it by this core: a stream that lost some of
 * it refuses.
 */
import type { Clock } from '../../../base/clock.ts';
import { messageOf } from '../../../base/errors.ts';
import type { Logger } from '../../../base/log.ts';
import type { Counter, Latency } from '../../../base/metrics.ts';
import { publicationBytes } from '../../../base/publication.ts';
import type { SourceLane } from '../../../base/source.ts';
import {
  type EncodedMessage,
  encodeMessage,
  firstPositionOf,
  type LogItem,
  partFields,
  partsField,
  positionsPerMessage,
} from './log-message.ts';
import type { Names } from './names.ts';
import { ApiError, type NatsLink } from './nats-link.ts';

/** Larger messages would hold up the servers' replication of others. */
const groupBytesMax = 512 * 1024;
/** A group has as many as a batch of the trunk may have. */
const groupCountMax = Math.min(positionsPerMessage, 2_000);
/** For headers, of which the sources' are the longest. */
const headerBytes = 64 * 1024;
const retryMs = 150;
const wrongLastSequence = 10_071;

export interface LaneWriterParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly link: NatsLink;
  readonly names: Names;
  readonly messages: Counter;
  readonly retries: Counter;
  readonly ackTime: Latency;
}

export interface LaneWriterOptions {
  readonly lane: number;
  readonly writer: string;
  readonly logEpoch: string;
  readonly baseOf: (source: SourceLane) => number;
  /** The stream does not have what this core wrote last. Resolves when it is known whether it was
   * lost; the writer is closed then. */
  readonly suspect: () => Promise<void>;
}

export interface LanePart {
  readonly items: readonly LogItem[];
  /** The first position that they have; null when the log was given up before they were in it. */
  readonly done: (position: number | null) => void;
}

interface Group {
  readonly id: string;
  readonly parts: readonly LanePart[];
  readonly message: EncodedMessage;
  /** How many publications stand before each part. */
  readonly offsets: readonly number[];
  readonly startedAt: number;
}

export class LaneWriter {
  readonly #parts: LaneWriterParts;
  readonly #options: LaneWriterOptions;
  readonly #subject: string;
  #waiting: LanePart[] = [];
  #group: Group | null = null;
  /** Published and not seen in the stream yet, by identifier. */
  readonly #unseen = new Map<string, Group>();
  #written = 0;
  #lastSeq = 0;
  #running: Promise<void> | null = null;
  #isClosed = false;

  constructor(parts: LaneWriterParts, options: LaneWriterOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#subject = parts.names.logSubject(options.lane, options.writer);
  }

  /** How long the oldest message that is under way has been so. */
  get overdueMs(): number {
    const startedAt = this.#group?.startedAt;
    return startedAt === undefined ? 0 : this.#parts.clock.elapsed() - startedAt;
  }

  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#group === null && this.#unseen.size === 0;
  }

  append(part: LanePart): void {
    if (this.#isClosed) {
      part.done(null);
      return;
    }
    this.#waiting.push(part);
    this.#running ??= new Promise((done) => {
      // After the turn's other streams were read, so that one message carries them all.
      setImmediate(() => done(this.#writeAll()));
    });
  }

  /** Takes back what did not go out yet; false when it may be in the log. */
  withdraw(part: LanePart): boolean {
    const at = this.#waiting.indexOf(part);
    if (at < 0) return false;
    this.#waiting.splice(at, 1);
    return true;
  }

  /** A message stands in the stream. */
  seen(id: string, seq: number): void {
    const group = this.#unseen.get(id);
    if (group === undefined) return;
    this.#unseen.delete(id);
    for (const [i, part] of group.parts.entries()) {
      part.done(firstPositionOf(seq) + (group.offsets[i] as number));
    }
  }

  /** Gives up what is not known to be in the log. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const left = [...this.#unseen.values()].flatMap(({ parts }) => parts);
    this.#unseen.clear();
    for (const part of [...left, ...this.#waiting.splice(0)]) part.done(null);
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0 && !this.#isClosed) {
      this.#group = this.#nextGroup();
      this.#unseen.set(this.#group.id, this.#group);
      await this.#write(this.#group);
      this.#group = null;
    }
    this.#running = null;
  }

  #nextGroup(): Group {
    const items: LogItem[] = [];
    const offsets: number[] = [];
    let bytes = 0;
    let taken = 0;
    for (const part of this.#waiting) {
      const size = part.items.reduce((sum, one) => sum + publicationBytes(one.publication), 0);
      const isFull =
        bytes + size > groupBytesMax || items.length + part.items.length > groupCountMax;
      if (taken > 0 && isFull) break;
      offsets.push(items.length);
      for (const item of part.items) items.push(item);
      bytes += size;
      taken++;
    }
    const { clock } = this.#parts;
    const { baseOf, logEpoch, writer } = this.#options;
    return {
      id: `${writer}:${this.#options.lane}:${++this.#written}`,
      parts: this.#waiting.splice(0, taken),
      message: encodeMessage(items, { now: clock.now(), logEpoch, baseOf }),
      offsets,
      startedAt: clock.elapsed(),
    };
  }

  async #write(group: Group): Promise<void> {
    const { ackTime, clock, link, messages } = this.#parts;
    const { body, fields } = group.message;
    const partBytes = Math.max(1024, link.messageBytesMax - headerBytes);
    const before: number[] = [];
    let at = 0;
    for (; body.length - at > partBytes; at += partBytes) {
      const part = body.subarray(at, at + partBytes);
      before.push(await this.#publish(`${group.id}.${before.length}`, part, partFields));
    }
    const more = before.length === 0 ? {} : partsField(before);
    await this.#publish(group.id, body.subarray(at), { ...fields, ...more });
    messages.add();
    ackTime.record((clock.elapsed() - group.startedAt) * 1_000);
  }

  /** Tries until the stream has it, or the writer is closed. */
  async #publish(
    id: string,
    body: Uint8Array,
    fields: Readonly<Record<string, string>>,
  ): Promise<number> {
    for (;;) {
      if (this.#isClosed) return 0;
      try {
        const ack = await this.#parts.link.publish(this.#subject, body, {
          ...fields,
          'Nats-Msg-Id': id,
          'Nats-Expected-Last-Subject-Sequence': String(this.#lastSeq),
        });
        // Some servers call a message a duplicate before the first of it is committed.
        if (ack.seq > 0) {
          this.#lastSeq = ack.seq;
          return ack.seq;
        }
      } catch (error) {
        const seq = await this.#refused(id, error);
        if (seq > 0) return seq;
      }
      this.#parts.retries.add();
      await new Promise<void>((resolve) => this.#parts.clock.after(retryMs, resolve));
    }
  }

  /** As `#storedBefore`, when that is what the refusal may mean. */
  async #refused(id: string, error: unknown): Promise<number> {
    const isPresumed = error instanceof ApiError && error.errorCode === wrongLastSequence;
    if (isPresumed) return this.#storedBefore(id);
    const { lane } = this.#options;
    this.#parts.log.debug({ lane, reason: messageOf(error) }, 'log message is tried again');
    return 0;
  }

  /** Where the stream has the message, whose acknowledgement was lost; 0 when it does not. */
  async #storedBefore(id: string): Promise<number> {
    const { link, names } = this.#parts;
    const stream = names.logStream(this.#options.lane);
    try {
      const last = await link.stored(stream, { last_by_subj: this.#subject });
      const seq = Number(last?.headers?.get('Nats-Sequence') ?? 0);
      if (last?.headers?.get('Nats-Msg-Id') === id) {
        this.#lastSeq = seq;
        return seq;
      }
      if (seq < this.#lastSeq) {
        await this.#options.suspect();
        // Not lost, so it was too old: the stream let it go.
        this.#lastSeq = seq;
      }
    } catch (error) {
      this.#parts.log.debug({ reason: messageOf(error) }, 'the end of the log is not known yet');
    }
    return 0;
  }
}
