/**
 * Publications as they lie in the log: a batch whose topic table starts anew, encoded. Its sequences
 * are those of the lane where they entered; without one there are none.
 */
import type { Publication } from '../../base/publication.ts';
import { decodeBatch, encodeBatch } from '../../proto/batch-codec.ts';
import { Batch } from '../../proto/gen/trunkline/v1/publication.ts';
import { type Sequenced, TopicDecoder, TopicEncoder } from '../../proto/wire.ts';

export function encodeBody(
  publications: readonly Publication[],
  { now, sequences }: { readonly now: number; readonly sequences?: readonly number[] | undefined },
): Buffer {
  const items = publications.map((publication, i) => {
    return { sequence: sequences?.[i] ?? 0, publication };
  });
  return encodeBatch(new TopicEncoder().encode(items, { now }));
}

/** Throws `batch-malformed`, or what the protobuf reader throws, when the bytes are damaged. */
export function decodeBody(body: Buffer, storedAt: number): Sequenced[] {
  const batch = decodeBatch(body, 0, body.length) ?? Batch.decode(body);
  return new TopicDecoder().decode(batch, { now: storedAt, origin: '' });
}
