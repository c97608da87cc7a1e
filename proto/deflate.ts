/**
 * The payload column, deflated where that pays: one half for each end of a stream. The sender tries
 * now and then, and goes on for as long as the column shrinks; order needs nothing more, because a
 * batch is deflated whole or not at all.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { TrunklineError } from '../base/errors.ts';
import { deflateBytesMax, deflateBytesMin, trunkMessageBytesMax } from '../base/limits.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import type { Batch } from './gen/trunkline/v1/publication.ts';

/** Level 1: the others were measured to take two to six times as long for a tenth less. */
const options = { level: 1 };

/** A column that shrinks to more than this share is not worth the receiver's time. */
const worthShare = 0.7;

/** Columns that pass until the next try, after one that did not shrink: 64 KiB of noise take 2 to
 * 5 ms to find out about. */
const columnsBetweenTries = 100;

const nothing = Buffer.alloc(0);

/** Payload bytes of columns that were deflated, before and after. */
export interface DeflateCounters {
  readonly deflateIn: Pick<Counter, 'add'>;
  readonly deflateOut: Pick<Counter, 'add'>;
}

export function createDeflateCounters(metrics: Metrics): DeflateCounters {
  return {
    deflateIn: metrics.counter(
      'trunkline_deflate_in_bytes_total',
      'Payload bytes that were deflated for the trunk, before.',
    ),
    deflateOut: metrics.counter(
      'trunkline_deflate_out_bytes_total',
      'Payload bytes that were deflated for the trunk, after.',
    ),
  };
}

export class PayloadDeflater {
  readonly #counters: DeflateCounters;
  readonly #isFar: () => boolean;
  #columnsToPass = 0;

  /** `isFar`: whether bytes cost on this link. */
  constructor(counters: DeflateCounters, isFar: () => boolean) {
    this.#counters = counters;
    this.#isFar = isFar;
  }

  /** Deflates the payloads of the batch, or leaves it as it is. */
  apply(batch: Batch): void {
    const { payloads } = batch;
    if (payloads.length < deflateBytesMin || payloads.length > deflateBytesMax) return;
    if (!this.#isFar()) return;
    if (this.#columnsToPass > 0) {
      this.#columnsToPass--;
      return;
    }
    const deflated = deflateRawSync(payloads, options);
    if (deflated.length > payloads.length * worthShare) {
      this.#columnsToPass = columnsBetweenTries;
      return;
    }
    this.#counters.deflateIn.add(payloads.length);
    this.#counters.deflateOut.add(deflated.length);
    batch.payloads = nothing;
    batch.deflatedPayloads = deflated;
  }
}

/** The payloads of a batch, `bytes` of them in all; throws `batch-malformed`. Nothing comes out of
 * deflated ones that `bytes` do not announce. */
export function payloadsOf(batch: Batch, bytes: number): Buffer {
  if (batch.deflatedPayloads.length === 0) {
    if (bytes === batch.payloads.length) return batch.payloads;
    throw refused(`lengths add up to ${bytes} but payloads has ${batch.payloads.length} bytes`);
  }
  if (batch.payloads.length > 0) throw refused('payloads are there twice, plain and deflated');
  if (bytes === 0 || bytes > trunkMessageBytesMax) {
    throw refused(
      `lengths add up to ${bytes} but deflated payloads have 1 to ${trunkMessageBytesMax}`,
    );
  }
  const inflated = inflate(batch.deflatedPayloads, bytes);
  if (inflated.length === bytes) return inflated;
  throw refused(
    `lengths add up to ${bytes} but ${inflated.length} bytes come out of the deflated ones`,
  );
}

function inflate(deflated: Buffer, bytes: number): Buffer {
  try {
    return inflateRawSync(deflated, { maxOutputLength: bytes });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw refused(`deflated_payloads cannot be inflated to ${bytes} bytes: ${why}`);
  }
}

function refused(detail: string): TrunklineError {
  return new TrunklineError('batch-malformed', `Batch refused: ${detail}.`);
}
