/** Publications as they lie in the log: a batch whose topic table starts anew, encoded. */
import type { Publication } from '../../base/publication.ts';
import { Batch } from '../../proto/gen/trunkline/v1/publication.ts';
import { TopicDecoder, TopicEncoder } from '../../proto/wire.ts';

export function encodeBody(publications: readonly Publication[], now: number): Buffer {
  const items = publications.map((publication) => ({ sequence: 0, publication }));
  const bytes = Batch.encode(new TopicEncoder().encode(items, { now })).finish();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Throws `batch-malformed`, or what the protobuf reader throws, when the bytes are damaged. */
export function decodeBody(body: Buffer, storedAt: number): Publication[] {
  const items = new TopicDecoder().decode(Batch.decode(body), { now: storedAt, origin: '' });
  return items.map((item) => item.publication);
}
