/**
 * The codec written by hand against the generated one: the same bytes, the same batches, and nothing
 * that the generated code would read otherwise.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeBatch, encodeBatch } from '../../proto/batch-codec.ts';
import { Batch } from '../../proto/gen/trunkline/v1/publication.ts';
import { LaneRequest, TrunkServiceService } from '../../proto/gen/trunkline/v1/trunk.ts';
import { trunkService } from '../../proto/trunk-service.ts';

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
/** Without what stands for bytes that are no text: on that the generated code has the last word. */
const text = fc
  .string({ unit: 'grapheme', maxLength: 200 })
  .filter((of) => !/[\ufffd\ufeff]/.test(of));
const uint32 = fc.oneof(fc.nat(127), fc.nat(), fc.integer({ min: 2 ** 31, max: 2 ** 32 - 1 }));
const uint64 = fc.oneof(fc.nat(127), fc.nat(), fc.maxSafeNat());
const column = fc.array(uint32, { maxLength: 200 });

const batches: fc.Arbitrary<Batch> = fc.record(
  {
    firstSequence: uint64,
    sequenceDeltas: column,
    throughSequence: uint64,
    topicsReset: fc.boolean(),
    topicsAdded: fc.array(text),
    topicIds: column,
    lengths: column,
    flags: bytes,
    payloads: fc.oneof(bytes, fc.constant(Buffer.alloc(100_000, 'p'))),
    agesMs: column,
    origins: fc.array(text),
    originIds: column,
    properties: fc.array(fc.record({ index: uint32, encoded: bytes }, { noNullPrototype: true })),
    deflatedPayloads: bytes,
    sourceSequences: fc.array(uint64),
    sources: fc.array(fc.record({ epoch: text, lane: uint32 }, { noNullPrototype: true })),
  },
  { noNullPrototype: true },
);

test('a batch becomes the same bytes as by the generated code, and the same batch again', () => {
  fc.assert(
    fc.property(batches, (batch) => {
      const encoded = encodeBatch(batch);
      assert.ok(encoded.equals(Batch.encode(batch).finish()));
      assert.deepEqual(decodeBatch(encoded, 0, encoded.length), batch);
    }),
    { numRuns: 300 },
  );
});

test('bytes that were tampered with are left alone, or read as the generated code reads them', () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(batches, changes, fc.nat(), (batch, tampered, cut) => {
      const whole = encodeBatch(batch);
      for (const [at, value] of tampered) whole[at % whole.length] = value;
      const damaged = whole.subarray(0, whole.length - (cut % 3));
      const read = decodeBatch(damaged, 0, damaged.length);
      if (read === null) return;
      assert.ok(Buffer.from(Batch.encode(read).finish()).equals(reencoded(damaged)));
    }),
    { numRuns: 500 },
  );
});

test('a lane carries a batch in the same bytes, and fields of a later version go round the short way', () => {
  const { lane } = trunkService;
  const generated = TrunkServiceService.lane;
  fc.assert(
    fc.property(batches, (value) => {
      const message = { message: { $case: 'batch', value } } as const;
      const encoded = lane.requestSerialize(message);
      assert.ok(encoded.equals(generated.requestSerialize(message)));
      assert.deepEqual(lane.responseDeserialize(encoded), message);
    }),
    { numRuns: 50 },
  );
  const later = Buffer.concat([lane.requestSerialize(heartbeat), Buffer.from([0xf8, 0x07, 0x01])]);
  assert.deepEqual(lane.requestDeserialize(later), LaneRequest.decode(later));
  const unknown = Buffer.from([0xf8, 0x07, 0x01]);
  assert.equal(decodeBatch(unknown, 0, unknown.length), null);
});

const heartbeat: LaneRequest = {
  message: { $case: 'heartbeat', value: { sentAtMs: 1, echoMs: 0 } },
};

function reencoded(damaged: Buffer): Buffer {
  return Buffer.from(Batch.encode(Batch.decode(damaged)).finish());
}
