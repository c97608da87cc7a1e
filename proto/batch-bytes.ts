/**
 * What a batch counts for in credits. Both ends must come to the same figure, so it is worked out
 * from the columns and not from the encoded length, which the receiver does not see.
 */
import type { Batch } from './gen/trunkline/v1/publication.ts';

/** Near what the columns of one publication take beside its payload. */
const publicationOverheadBytes = 16;
const batchOverheadBytes = 16;

export function batchBytes(batch: Batch): number {
  let bytes = batchOverheadBytes;
  // What comes out at the receiver, also of deflated ones: it is memory that credits bound.
  for (const length of batch.lengths) bytes += length;
  bytes += batch.topicIds.length * publicationOverheadBytes;
  for (const topic of batch.topicsAdded) bytes += topic.length;
  for (const { encoded } of batch.properties) bytes += encoded.length;
  return bytes;
}
