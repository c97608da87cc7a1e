/**
 * Retained messages in a stream, the newest of each topic by its position in the log. They follow from
 * the log; the stream spares a core that starts from reading all of it. Any core may write any of them:
 * one with an earlier position never takes the place of a later.
 */
import type { Clock } from '../../../base/clock.ts';
import type { Logger } from '../../../base/log.ts';
import type { Publication } from '../../../base/publication.ts';
import { laneOf } from '../../../base/topic.ts';
import { decodeBody, encodeBody } from '../log-body.ts';
import { Follower } from './follower.ts';
import { firstPositionOf, type NatsBatch } from './log-message.ts';
import type { Names } from './names.ts';
import { ApiError, type NatsLink } from './nats-link.ts';
import type { Streams } from './streams.ts';

const positionField = 'Tl-Pos';
const wrongLastSequence = 10_071;

/** Topics that are written at a time. */
const writersMax = 32;

/** A delete stays this long, so that a core which is behind does not bring back what went before. */
const deletedMs = 120_000;

export interface RetainedKeeperParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly link: NatsLink;
  readonly names: Names;
  readonly streams: Streams;
}

interface Change {
  readonly publication: Publication;
  /** In the order of the log; of a later log epoch greater than of any before. */
  readonly order: readonly [generation: number, position: number];
}

interface Deleted {
  readonly subject: string;
  readonly seq: number;
  readonly at: number;
}

export class RetainedKeeper {
  readonly #parts: RetainedKeeperParts;
  /** What the stream may not have yet, by topic. */
  readonly #changed = new Map<string, Change>();
  #deleted: Deleted[] = [];

  constructor(parts: RetainedKeeperParts) {
    this.#parts = parts;
  }

  /** What the stream has. */
  async load(): Promise<Iterable<Publication>> {
    const { names, streams } = this.#parts;
    const info = await streams.info(names.retainedStream);
    const found = new Map<string, Publication>();
    if (info.state.messages === 0) return [];
    await new Promise<void>((resolve) => {
      const follower = new Follower(this.#parts, {
        stream: names.retainedStream,
        from: 1,
        take: ({ message, pending, storedAt }) => {
          const publication = this.#decoded(Buffer.from(message.data), storedAt);
          if (publication !== null) found.set(publication.topic, publication);
          if (pending > 0) return;
          follower.close();
          resolve();
        },
      });
    });
    return [...found.values()].filter(({ payload }) => payload.length > 0);
  }

  /** Has been read in the log. */
  note(batch: NatsBatch, generation: number): void {
    if (!batch.hasRetained) return;
    for (const [index, publication] of batch.publications.entries()) {
      if (!publication.retain) continue;
      const order = [generation, batch.firstPosition + index] as const;
      this.#changed.set(publication.topic, { publication, order });
    }
  }

  /** All of them are written anew, as of now. */
  noteAll(publications: Iterable<Publication>, generation: number): void {
    for (const publication of publications) {
      const order = [generation, 0] as const;
      const { topic } = publication;
      if (!this.#changed.has(topic)) this.#changed.set(topic, { publication, order });
    }
  }

  /** Resolves when the stream has what was noted before the call. Throws when it cannot be written. */
  async write(): Promise<void> {
    const topics = [...this.#changed.keys()];
    const work = async () => {
      for (let topic = topics.pop(); topic !== undefined; topic = topics.pop()) {
        const change = this.#changed.get(topic);
        if (change === undefined) continue;
        await this.#put(change);
        if (this.#changed.get(topic) === change) this.#changed.delete(topic);
      }
    };
    await Promise.all(Array.from({ length: writersMax }, work));
    await this.#clean();
  }

  /** Another core has written what the lane had up to this message. */
  written(lane: number, throughSeq: number): void {
    const through = firstPositionOf(throughSeq + 1);
    for (const [topic, { order }] of this.#changed) {
      if (order[1] < through && laneOf(topic) === lane) this.#changed.delete(topic);
    }
  }

  async #put({ publication, order }: Change): Promise<void> {
    const { clock, link, names } = this.#parts;
    const subject = names.retainedSubject(publication.topic);
    const body = encodeBody([publication], { now: clock.now() });
    for (;;) {
      const stored = await link.stored(names.retainedStream, { last_by_subj: subject });
      if (stored !== null && !isBefore(stored.headers?.get(positionField) ?? '', order)) return;
      const expected = stored?.headers?.get('Nats-Sequence') ?? '0';
      try {
        const { seq } = await link.publish(subject, body, {
          [positionField]: order.join('.'),
          'Nats-Expected-Last-Subject-Sequence': expected,
        });
        if (publication.payload.length === 0) {
          this.#deleted.push({ subject, seq, at: clock.elapsed() });
        }
        return;
      } catch (error) {
        if (!(error instanceof ApiError) || error.errorCode !== wrongLastSequence) throw error;
      }
    }
  }

  /** Deletes that are old enough leave the stream; what was written after them stays. */
  async #clean(): Promise<void> {
    const { clock, link, names } = this.#parts;
    const before = clock.elapsed() - deletedMs;
    while ((this.#deleted[0]?.at ?? Number.POSITIVE_INFINITY) < before) {
      const { subject, seq } = this.#deleted[0] as Deleted;
      await link.call(`STREAM.PURGE.${names.retainedStream}`, { filter: subject, seq: seq + 1 });
      this.#deleted.shift();
    }
  }

  #decoded(body: Buffer, storedAt: number): Publication | null {
    try {
      return decodeBody(body, storedAt)[0]?.publication ?? null;
    } catch (error) {
      this.#parts.log.error({ err: error }, 'retained message unreadable');
      return null;
    }
  }
}

function isBefore(stored: string, order: Change['order']): boolean {
  const [generation = 0, position = 0] = stored.split('.').map(Number);
  return generation < order[0] || (generation === order[0] && position < order[1]);
}
