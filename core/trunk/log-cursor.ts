/**
 * One edge's place in the log of one lane: hands out what the edge wants, one after the other, from
 * the decoded tail while it keeps up and from the backplane when it is behind.
 */
import { isCanary } from '../../base/canary.ts';
import { messageOf } from '../../base/errors.ts';
import type { Ledger } from '../../base/ledger.ts';
import type { Logger } from '../../base/log.ts';
import type { Publication } from '../../base/publication.ts';
import type { Sequenced } from '../../proto/wire.ts';
import type { Backplane, LogBatch } from '../backplane/backplane.ts';
import { allSlots } from '../backplane/slots.ts';
import type { LogTail } from '../log/log-tail.ts';
import type { EdgeInterest } from './edge-interest.ts';

/** Bytes read from the backplane at once. */
const readBytesMax = 1024 * 1024;

/** Positions looked at in one go; an edge that wants little must not hold up the others. */
const scannedMax = 5_000;

export interface CursorParts {
  readonly log: Logger;
  readonly ledger: Ledger;
  readonly backplane: Backplane;
  readonly tail: LogTail;
  readonly interest: EdgeInterest;
}

export interface CursorOptions {
  readonly edgeId: string;
  readonly lane: number;
  /** The position up to which the edge has everything. */
  readonly position: number;
  /** Retained messages that the edge hears of again, although it sent them; null for none. */
  readonly isContended: ((topic: string) => boolean) | null;
  /** The edge's canaries go back to it; those of others never do. */
  readonly returnsCanaries: boolean;
  /** The edge is told where each publication entered. */
  readonly tellsSources: boolean;
  /** The log cannot be read; the stream has to end. */
  readonly onFailure: (details: string) => void;
}

export class LogCursor {
  readonly #parts: CursorParts;
  readonly #options: CursorOptions;
  #position: number;
  #current: LogBatch | undefined;
  #loaded: LogBatch[] = [];
  #isLoading = false;
  #isClosed = false;
  #onLoaded: () => void = () => {};
  #scanned = 0;

  constructor(parts: CursorParts, options: CursorOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#position = options.position;
  }

  /** Everything up to here was handed out or was not wanted. */
  get position(): number {
    return this.#position;
  }

  /** `listener` is called when more was read after `next` answered null. */
  onLoaded(listener: () => void): void {
    this.#onLoaded = listener;
  }

  /** The next publication that the edge wants; null when there is none now; 'later' when so much
   * was passed over that others should have their turn first. */
  next(): Sequenced | null | 'later' {
    for (;;) {
      const batch = this.#batchAt(this.#position + 1);
      if (batch === undefined) {
        this.#scanned = 0;
        return null;
      }
      if (this.#scanned >= scannedMax) {
        this.#scanned = 0;
        return 'later';
      }
      this.#scanned++;
      if (!this.#mayWant(batch)) {
        this.#position = batch.through;
        continue;
      }
      // Positions that stand for nothing may lie before a batch.
      const position = Math.max(this.#position + 1, batch.firstPosition);
      const publication = batch.publications[position - batch.firstPosition];
      if (publication === undefined) {
        this.#position = batch.through;
        continue;
      }
      this.#position = position;
      if (!this.#goesOut(publication, position)) continue;
      if (!this.#options.tellsSources) return { sequence: position, publication };
      const from = batch.placeAt(position - batch.firstPosition);
      return { sequence: position, publication, from };
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#loaded = [];
    this.#current = undefined;
  }

  /** The edge's canaries are for it, whatever it wants: a batch with one names all slots. */
  #mayWant({ slots }: LogBatch): boolean {
    return slots === allSlots || (slots & this.#parts.interest.slots) !== 0n;
  }

  #goesOut(publication: Publication, position: number): boolean {
    const { edgeId, lane, returnsCanaries } = this.#options;
    const isOwn = publication.origin === edgeId;
    if (isCanary(publication.topic)) return isOwn && returnsCanaries;
    if (isOwn && !this.#isEchoed(publication)) return false;
    return this.#parts.interest.wants(publication.topic, { lane, position });
  }

  #isEchoed({ retain, topic }: Publication): boolean {
    return retain && (this.#options.isContended?.(topic) ?? false);
  }

  #batchAt(position: number): LogBatch | undefined {
    const { backplane, tail } = this.#parts;
    const { lane } = this.#options;
    if (this.#current !== undefined && position <= this.#current.through) return this.#current;
    this.#current = undefined;
    if (position > backplane.head(lane) || this.#isClosed || this.#isLoading) return undefined;
    this.#current = this.#takeLoaded(position) ?? tail.find(lane, position);
    if (this.#current === undefined) this.#load();
    return this.#current;
  }

  #takeLoaded(position: number): LogBatch | undefined {
    for (;;) {
      const batch = this.#loaded.shift();
      if (batch === undefined || batch.through >= position) return batch;
    }
  }

  #load(): void {
    const { backplane } = this.#parts;
    const { lane, edgeId, onFailure } = this.#options;
    this.#isLoading = true;
    const from = { position: this.#position, bytesMax: readBytesMax };
    backplane.read(lane, from).then(
      (batches) => {
        this.#isLoading = false;
        if (this.#isClosed) return;
        const before = this.#position;
        this.#skipTo(batches[0]?.firstPosition ?? backplane.oldest(lane));
        this.#loaded = [...batches];
        if (batches.length > 0 || this.#position > before) this.#onLoaded();
        else onFailure(`The log has nothing after position ${before} of lane ${lane}.`);
      },
      (error: unknown) => {
        this.#isLoading = false;
        this.#parts.log.error({ err: error, edge: edgeId, lane }, 'log cannot be read');
        if (!this.#isClosed) onFailure(`The log cannot be read: ${messageOf(error)}`);
      },
    );
  }

  /** What was trimmed before the edge could read it is counted. */
  #skipTo(oldest: number): void {
    if (oldest - 1 <= this.#position) return;
    const lost = this.#parts.backplane.missing(this.#position, oldest);
    this.#position = oldest - 1;
    if (lost <= 0) return;
    const { edgeId, lane } = this.#options;
    this.#parts.ledger.dropped('log-retention', lost);
    this.#parts.log.warn({ edge: edgeId, lane, lost }, 'log no longer reaches back to the edge');
  }
}
