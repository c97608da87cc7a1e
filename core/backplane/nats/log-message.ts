/**
 * A message of a log's stream: publications of one lane from any number of sources, in columns, with
 * what readers need before they decode in its headers. Positions follow from the stream's sequence.
 */
import { type Publication, publicationBytes, voided } from '../../../base/publication.ts';
import type { SourceLane, SourcePlace } from '../../../base/source.ts';
import { Batch } from '../../../proto/gen/trunkline/v1/publication.ts';
import { type Sequenced, TopicDecoder, TopicEncoder } from '../../../proto/wire.ts';
import type { LogBatch } from '../backplane.ts';
import { slotsOf } from '../slots.ts';
import type { Stored } from './nats-link.ts';

/** Positions of one message of the stream; more publications than that are not in one. */
export const positionsPerMessage = 2_048;

const names = {
  epoch: 'Tl-Epoch',
  slots: 'Tl-Slots',
  count: 'Tl-N',
  bytes: 'Tl-Bytes',
  from: 'Tl-From',
  retained: 'Tl-Ret',
  /** Sequences of the messages that hold the first parts of the body. */
  parts: 'Tl-Parts',
  /** This is one of them. */
  part: 'Tl-Part',
} as const;

export interface LogItem {
  readonly publication: Publication;
  /** Null for what enters at a core. */
  readonly from: SourcePlace | null;
}

/** A lane of an edge within a message. */
export interface SourceRange {
  readonly origin: string;
  readonly epoch: string;
  readonly lane: number;
  /** Of the publications in it; what lies between is in other lanes of the log. */
  readonly first: number;
  readonly last: number;
  readonly count: number;
  /** Up to here the log has, or never gets, all of the source, as its core knew. */
  readonly base: number;
}

export interface EncodedMessage {
  readonly body: Buffer;
  readonly fields: Readonly<Record<string, string>>;
}

export function encodeMessage(
  items: readonly LogItem[],
  context: {
    readonly now: number;
    readonly logEpoch: string;
    readonly baseOf: (source: SourceLane) => number;
  },
): EncodedMessage {
  const { now, logEpoch, baseOf } = context;
  const sequenced = items.map(({ publication, from }) => ({ sequence: 0, publication, from }));
  const bytes = Batch.encode(new TopicEncoder().encode(sequenced, { now })).finish();
  const publications = items.map(({ publication }) => publication);
  const ranges = rangesOf(items, baseOf).map((one) => {
    return [one.origin, one.epoch, one.lane, one.first, one.last, one.count, one.base];
  });
  return {
    body: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length),
    fields: {
      [names.epoch]: logEpoch,
      [names.slots]: slotsOf(publications).toString(16),
      [names.count]: String(items.length),
      [names.bytes]: String(publications.reduce((sum, one) => sum + publicationBytes(one), 0)),
      [names.from]: JSON.stringify(ranges),
      [names.retained]: publications.some(({ retain }) => retain) ? '1' : '0',
    },
  };
}

export const partFields: Readonly<Record<string, string>> = { [names.part]: '1' };

export function partsField(sequences: readonly number[]): Readonly<Record<string, string>> {
  return { [names.parts]: sequences.join(',') };
}

/** A message of the stream before it is decoded. */
export interface StoredMessage {
  readonly seq: number;
  readonly id: string;
  readonly storedAt: number;
  readonly logEpoch: string;
  readonly isPart: boolean;
  readonly parts: readonly number[];
  readonly count: number;
  readonly bytes: number;
  readonly slots: bigint;
  readonly hasRetained: boolean;
  readonly ranges: readonly SourceRange[];
  readonly body: Uint8Array;
}

/** Null for one that is none of ours. */
export function storedMessage(
  message: Stored,
  at: { readonly seq: number; readonly storedAt: number },
): StoredMessage | null {
  const head = message.headers;
  const isPart = head?.get(names.part) === '1';
  if (head === undefined || (!isPart && head.get(names.epoch) === '')) return null;
  const parts = head.get(names.parts);
  return {
    seq: at.seq,
    storedAt: at.storedAt,
    id: head.get('Nats-Msg-Id'),
    logEpoch: head.get(names.epoch),
    isPart,
    parts: parts === '' ? [] : parts.split(',').map(Number),
    count: Number(head.get(names.count)),
    bytes: Number(head.get(names.bytes)),
    slots: BigInt(`0x${head.get(names.slots) || '0'}`),
    hasRetained: head.get(names.retained) === '1',
    ranges: isPart ? [] : rangesIn(head),
    body: message.data,
  };
}

type RangeRow = [string, string, number, number, number, number, number];

function rangesIn(head: { get(name: string): string }): SourceRange[] {
  const rows = JSON.parse(head.get(names.from)) as RangeRow[];
  return rows.map(([origin, epoch, lane, first, last, count, base]) => {
    return { origin, epoch, lane, first, last, count, base };
  });
}

function rangesOf(
  items: readonly LogItem[],
  baseOf: (source: SourceLane) => number,
): SourceRange[] {
  const ranges = new Map<SourceLane, { -readonly [K in keyof SourceRange]: SourceRange[K] }>();
  for (const { from } of items) {
    if (from === null) continue;
    const { source, sequence } = from;
    const range = ranges.get(source);
    if (range === undefined) {
      const base = baseOf(source);
      ranges.set(source, { ...source, first: sequence, last: sequence, count: 1, base });
    } else {
      range.last = sequence;
      range.count++;
    }
  }
  return [...ranges.values()];
}

export function firstPositionOf(seq: number): number {
  return seq * positionsPerMessage;
}

export function seqOfPosition(position: number): number {
  return Math.floor(position / positionsPerMessage);
}

/** A batch that is decoded when somebody looks into it. */
export class NatsBatch implements LogBatch {
  readonly lane: number;
  /** Of its message in the stream. */
  readonly seq: number;
  readonly firstPosition: number;
  readonly through: number;
  readonly bytes: number;
  readonly slots: bigint;
  readonly hasRetained: boolean;
  readonly #onFault: (error: unknown) => void;
  #message: Pick<StoredMessage, 'body' | 'logEpoch' | 'storedAt'> | null;
  #publications: readonly Publication[] = [];
  #places: readonly (SourcePlace | null)[] = [];
  /** Decides which of its publications had been in the log before. */
  #isRepeat: ((place: SourcePlace) => boolean) | null;

  constructor(
    lane: number,
    message: StoredMessage,
    options: {
      readonly onFault: (error: unknown) => void;
      readonly isRepeat: ((place: SourcePlace) => boolean) | null;
    },
  ) {
    this.lane = lane;
    this.seq = message.seq;
    this.firstPosition = firstPositionOf(message.seq);
    this.through = this.firstPosition + positionsPerMessage - 1;
    this.bytes = message.bytes;
    this.slots = message.slots;
    this.hasRetained = message.hasRetained;
    this.#onFault = options.onFault;
    this.#isRepeat = options.isRepeat;
    this.#message = message;
  }

  get publications(): readonly Publication[] {
    this.#decode();
    return this.#publications;
  }

  placeAt(index: number): SourcePlace | null {
    this.#decode();
    return this.#places[index] ?? null;
  }

  #decode(): void {
    if (this.#message === null) return;
    const items = this.#itemsOf(this.#message);
    const own = { origin: '', epoch: this.#message.logEpoch, lane: this.lane };
    this.#message = null;
    const isRepeat = this.#isRepeat;
    this.#isRepeat = null;
    const isNews = ({ from }: Sequenced) => isRepeat === null || from == null || !isRepeat(from);
    // A repeat keeps its position, so that those behind it have the same for every reader.
    this.#publications = items.map((item) =>
      isNews(item) ? item.publication : voided(item.publication),
    );
    // What entered at a core is known by its place here, whichever epoch the log has by now.
    this.#places = items.map((item, i) => {
      if (!isNews(item)) return null;
      return item.from ?? { source: own, sequence: this.firstPosition + i };
    });
  }

  #itemsOf({ body, storedAt }: Pick<StoredMessage, 'body' | 'storedAt'>): readonly Sequenced[] {
    try {
      return new TopicDecoder().decode(Batch.decode(body), { now: storedAt, origin: '' });
    } catch (error) {
      // One damaged message must not stop a lane for ever.
      this.#onFault(error);
      return [];
    }
  }
}

/** In the place of a message that has nothing to tell: positions go on behind it. */
export function emptyBatch(lane: number, seq: number): NatsBatch {
  const message = {
    seq,
    id: '',
    storedAt: 0,
    logEpoch: '',
    isPart: true,
    parts: [],
    count: 0,
    bytes: 0,
    slots: 0n,
    hasRetained: false,
    ranges: [],
    body: new Uint8Array(),
  };
  return new NatsBatch(lane, message, { onFault: () => {}, isRepeat: null });
}
