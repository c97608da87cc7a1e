/** What was written to the log before: read by sequence, from whichever server has it. */
import type { SourcePlace } from '../../../base/source.ts';
import type { LogBatch, LogPlace } from '../backplane.ts';
import { wholeMessage } from './lane-reader.ts';
import {
  emptyBatch,
  firstPositionOf,
  NatsBatch,
  type StoredMessage,
  seqOfPosition,
  storedMessage,
} from './log-message.ts';
import type { Names } from './names.ts';
import type { NatsLink } from './nats-link.ts';

/** Messages that are asked for at once. */
const askedMax = 16;

export interface LogHistoryParts {
  readonly link: NatsLink;
  readonly names: Names;
  readonly onFault: (error: unknown) => void;
}

export class LogHistory {
  readonly #parts: LogHistoryParts;

  constructor(parts: LogHistoryParts) {
    this.#parts = parts;
  }

  /** Messages between two sequences, as far as they are there, about `bytesMax` of them. */
  async read(
    lane: number,
    range: {
      readonly first: number;
      readonly last: number;
      readonly bytesMax: number;
      /** Whether what was written under this epoch counts there. */
      readonly counts: (message: StoredMessage) => boolean;
    },
  ): Promise<LogBatch[]> {
    const batches: LogBatch[] = [];
    let bytes = 0;
    for (let seq = range.first; seq <= range.last; seq += askedMax) {
      const end = Math.min(range.last, seq + askedMax - 1);
      for (const message of await this.#between(lane, seq, end)) {
        if (batches.length > 0 && bytes + message.bytes > range.bytesMax) return batches;
        bytes += message.bytes;
        batches.push(
          message.isPart || !range.counts(message)
            ? emptyBatch(lane, message.seq)
            : new NatsBatch(lane, message, { onFault: this.#parts.onFault, isRepeat: null }),
        );
      }
    }
    return batches;
  }

  /** From the newest back. */
  async locate(
    lane: number,
    range: { readonly first: number; readonly last: number },
    { source, sequence }: SourcePlace,
  ): Promise<LogPlace | null> {
    if (source.origin === '') return this.#ownAt(lane, range, { source, sequence });
    for (let end = range.last; end >= range.first; end -= askedMax) {
      const messages = await this.#between(lane, Math.max(range.first, end - askedMax + 1), end);
      for (const message of messages.reverse()) {
        const isIn = message.ranges.some(({ origin, epoch, lane: from, first, last }) => {
          const isOf = origin === source.origin && epoch === source.epoch && from === source.lane;
          return isOf && first <= sequence && sequence <= last;
        });
        if (!isIn) continue;
        const { onFault } = this.#parts;
        const batch = new NatsBatch(lane, message, { onFault, isRepeat: null });
        const index = batch.publications.findIndex((_, i) => {
          const place = batch.placeAt(i);
          return place?.sequence === sequence && place.source.lane === source.lane;
        });
        const publication = batch.publications[index];
        if (publication === undefined) continue;
        const position = firstPositionOf(message.seq) + index;
        return { lane, position, storedAt: message.storedAt, publication };
      }
    }
    return null;
  }

  /** What entered at a core has its position for its sequence. */
  async #ownAt(
    lane: number,
    range: { readonly first: number; readonly last: number },
    { source, sequence: position }: SourcePlace,
  ): Promise<LogPlace | null> {
    const seq = seqOfPosition(position);
    if (lane !== source.lane || seq < range.first || seq > range.last) return null;
    const [message] = await this.#between(lane, seq, seq);
    if (message?.logEpoch !== source.epoch) return null;
    const { onFault } = this.#parts;
    const batch = new NatsBatch(lane, message, { onFault, isRepeat: null });
    const index = position - batch.firstPosition;
    const publication = batch.publications[index];
    if (publication === undefined || batch.placeAt(index)?.source.origin !== '') return null;
    return { lane, position, storedAt: message.storedAt, publication };
  }

  async #between(lane: number, first: number, last: number): Promise<StoredMessage[]> {
    const { link, names } = this.#parts;
    const stream = names.logStream(lane);
    const asked = Array.from({ length: last - first + 1 }, async (_, i) => {
      const seq = first + i;
      // A server that is behind does not have it yet; only the leader knows what there is not.
      const stored =
        (await link.stored(stream, { seq })) ?? (await link.storedAtLeader(stream, seq));
      if (stored === null) return null;
      const storedAt = Date.parse(stored.headers?.get('Nats-Time-Stamp') ?? '');
      const message = storedMessage(stored, { seq, storedAt: storedAt || Date.now() });
      if (message === null || message.parts.length === 0) return message;
      return wholeMessage(link, stream, message);
    });
    return (await Promise.all(asked)).filter((message) => message !== null);
  }
}
