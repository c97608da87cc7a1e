/**
 * The column codec: what goes in comes out, over several batches of one stream, and a batch whose
 * columns disagree is refused whole with one code, whatever was done to it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TrunklineError } from '../../base/errors.ts';
import type { Publication, Qos } from '../../base/publication.ts';
import { batchBytes } from '../../proto/batch-bytes.ts';
import { Batch } from '../../proto/gen/trunkline/v1/publication.ts';
import { type Sequenced, TopicDecoder, TopicEncoder } from '../../proto/wire.ts';

const now = 1_800_000_000_000;

const publications: fc.Arbitrary<Publication> = fc.record(
  {
    topic: fc.constantFrom('a', 'a/b', 'fleet/7/speed', 'ü/ö', '$SYS/x', '/'),
    payload: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    qos: fc.constantFrom<Qos>(0, 1, 2),
    retain: fc.boolean(),
    properties: fc.option(
      fc.uint8Array({ minLength: 1, maxLength: 9 }).map((bytes) => Buffer.from(bytes)),
    ),
    acceptedAt: fc.integer({ min: now - 100_000, max: now }),
    origin: fc.constantFrom('edge-a', 'edge-b', 'gateway-1'),
  },
  { noNullPrototype: true },
);

/** A batch with sequences that ascend by any step, or one without sequences. */
const runs: fc.Arbitrary<Sequenced[]> = fc
  .tuple(
    fc.boolean(),
    fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), publications), {
      minLength: 1,
      maxLength: 20,
    }),
  )
  .map(([isSequenced, steps]) => {
    let sequence = 0;
    return steps.map(([step, publication]) => {
      sequence += step;
      return { sequence: isSequenced ? sequence : 0, publication };
    });
  });

test('publications come out as they went in, across the batches of a stream', () => {
  fc.assert(
    fc.property(fc.array(runs, { minLength: 1, maxLength: 6 }), (batches) => {
      const encoder = new TopicEncoder();
      const decoder = new TopicDecoder();
      for (const items of batches) {
        const encoded = encoder.encode(items, { now, through: 200 });
        const received = Batch.decode(Batch.encode(encoded).finish());
        assert.equal(received.throughSequence, 200);
        assert.equal(batchBytes(received), batchBytes(encoded));
        assert.deepEqual(decoder.decode(received, { now, origin: 'x' }), items);
      }
    }),
    { numRuns: 200 },
  );
});

test('the origin of the sender itself is filled in by the receiver', () => {
  const own = { ...sample('a'), origin: '' };
  const batch = new TopicEncoder().encode([{ sequence: 1, publication: own }], { now });
  const [item] = new TopicDecoder().decode(batch, { now, origin: 'edge-7' });
  assert.equal(item?.publication.origin, 'edge-7');
});

const mutations: fc.Arbitrary<(batch: Batch) => void> = fc.constantFrom(
  (batch: Batch) => void batch.lengths.pop(),
  (batch: Batch) => void batch.lengths.push(1),
  (batch: Batch) => {
    batch.lengths[0] = (batch.lengths[0] ?? 0) + 1;
  },
  (batch: Batch) => {
    batch.flags = Buffer.concat([batch.flags, Buffer.from([0])]);
  },
  (batch: Batch) => {
    batch.flags = Buffer.alloc(batch.flags.length, 3);
  },
  (batch: Batch) => {
    batch.payloads = Buffer.concat([batch.payloads, Buffer.from('x')]);
  },
  (batch: Batch) => void batch.topicIds.push(0),
  (batch: Batch) => {
    batch.topicIds[0] = 4_000_000_000;
  },
  (batch: Batch) => void batch.topicsAdded.push('with/#/wildcard'),
  (batch: Batch) => void batch.topicsAdded.push(''),
  (batch: Batch) => void batch.agesMs.push(...new Array(batch.topicIds.length + 1).fill(1)),
  (batch: Batch) => void batch.originIds.push(...new Array(batch.topicIds.length).fill(9)),
  (batch: Batch) => {
    batch.firstSequence = 1;
    batch.sequenceDeltas = new Array(batch.topicIds.length + 1).fill(0);
  },
  (batch: Batch) => {
    batch.properties = [{ index: batch.topicIds.length, encoded: Buffer.from('p') }];
  },
);

test('a batch whose columns disagree is refused with batch-malformed', () => {
  fc.assert(
    fc.property(runs, mutations, (items, mutate) => {
      const batch = new TopicEncoder().encode(items, { now });
      if (batch.origins.length === 0) batch.origins.push('edge-a');
      mutate(batch);
      assert.throws(() => new TopicDecoder().decode(batch, { now, origin: 'x' }), isMalformed);
    }),
    { numRuns: 300 },
  );
});

test('bytes that were tampered with are decoded or refused, and never end the process', () => {
  fc.assert(
    fc.property(
      runs,
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1 }),
      (items, changes) => {
        const bytes = Batch.encode(new TopicEncoder().encode(items, { now })).finish();
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        let batch: Batch;
        try {
          batch = Batch.decode(bytes);
        } catch {
          return; // The protobuf reader found it out.
        }
        try {
          new TopicDecoder().decode(batch, { now, origin: 'x' });
        } catch (error) {
          assert.ok(isMalformed(error), String(error));
        }
      },
    ),
    { numRuns: 300 },
  );
});

function isMalformed(error: unknown): boolean {
  return error instanceof TrunklineError && error.code === 'batch-malformed';
}

function sample(topic: string): Publication {
  return {
    topic,
    payload: Buffer.from('p'),
    qos: 1,
    retain: false,
    properties: null,
    acceptedAt: now,
    origin: 'edge-a',
  };
}
