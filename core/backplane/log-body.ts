/**
 * Publications as they lie in the log: a batch whose topic table starts anew, encoded. Its sequences
 * are those of the lane where they entered; without one there are none.
 */
import type { Publication } from '../../base/publication.ts';
import { Batch } from '../../proto/gen/trunkline/v1/publication.ts';
import { type Sequenced, TopicDecoder, TopicEncoder } from '../../proto/wire.ts';

export function encodeBody(
  publications: readonly Publication[],
  { now, sequences }: { readonly now: number; readonly sequences?: readonly number[] | undefined },
): Buffer {
  const items = publications.map((publication, i) => {
    return { sequence: sequences?.[i] ?? 0, publication };
  });
  const bytes = Batch.encode(new TopicEncoder().encode(items, { now })).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Throws `batch-malformed`, or what the protobuf reader throws, when the bytes are damaged. */
export function decodeBody(body: Buffer, storedAt: number): Sequenced[] {
  return new TopicDecoder().decode(Batch.decode(body), { now: storedAt, origin: '' });
}
