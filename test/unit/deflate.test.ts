/**
 * The payload column, deflated: it decodes to the same as the plain one, it is used where it pays and
 * nowhere else, and nothing bad that claims to be one gets past the decoder or makes it allocate.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { TrunklineError } from '../../base/errors.ts';
import { deflateBytesMax, trunkMessageBytesMax } from '../../base/limits.ts';
import { batchBytes } from '../../proto/batch-bytes.ts';
import { PayloadDeflater } from '../../proto/deflate.ts';
import { Batch } from '../../proto/gen/trunkline/v1/publication.ts';
import { TopicDecoder, TopicEncoder } from '../../proto/wire.ts';
import { publication } from '../support/trunk-world.ts';

const now = 1_800_000_000_000;

class Tally {
  value = 0;
  add(count: number): void {
    this.value += count;
  }
}

function deflaterAt(isFar = true) {
  const counters = { deflateIn: new Tally(), deflateOut: new Tally() };
  return { ...counters, deflater: new PayloadDeflater(counters, () => isFar) };
}

function itemsOf(payloads: readonly Buffer[]) {
  return payloads.map((payload, i) => ({
    sequence: i + 1,
    publication: {
      ...publication(`t/${i % 3}`, ''),
      payload,
      acceptedAt: now,
      origin: 'o',
    },
  }));
}

function batchOf(payloads: readonly Buffer[]): Batch {
  return new TopicEncoder().encode(itemsOf(payloads), { now });
}

const words = fc.constantFrom('{"deviceId":"meter-', '","volts":230.', '7', 'ok', '\u0000', 'ü');
const payloads = fc.array(
  fc.oneof(
    fc
      .array(words, { minLength: 3, maxLength: 60 })
      .map((list) => Buffer.from(list.join('').repeat(9))),
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  ),
  { minLength: 1, maxLength: 60 },
);

test('whatever the payloads, what comes out of a deflated batch is what comes out of a plain one', () => {
  let deflatedRuns = 0;
  fc.assert(
    fc.property(payloads, (list) => {
      const plain = batchOf(list);
      const batch = batchOf(list);
      deflaterAt().deflater.apply(batch);
      if (batch.deflatedPayloads.length > 0) deflatedRuns++;
      const received = Batch.decode(Batch.encode(batch).finish());
      const options = { now, origin: 'x' };
      assert.deepEqual(
        new TopicDecoder().decode(received, options),
        new TopicDecoder().decode(plain, options),
      );
      assert.equal(batchBytes(received), batchBytes(plain));
    }),
    { numRuns: 300 },
  );
  assert.ok(deflatedRuns > 30, `${deflatedRuns} batches were deflated`);
});

const readings = Array.from({ length: 100 }, (_, i) => Buffer.from(`{"id":"meter-${i}","v":230}`));

test('a column that shrinks goes deflated, and both sizes are counted', () => {
  const { deflater, deflateIn, deflateOut } = deflaterAt();
  const batch = batchOf(readings);
  deflater.apply(batch);
  assert.equal(batch.payloads.length, 0);
  assert.equal(deflateIn.value, Buffer.concat(readings).length);
  assert.equal(deflateOut.value, batch.deflatedPayloads.length);
  assert.ok(deflateOut.value < deflateIn.value * 0.7);
});

test('near, small, huge and noisy columns stay as they are', () => {
  const far = deflaterAt().deflater;
  const cases = [
    { deflater: deflaterAt(false).deflater, list: readings },
    { deflater: far, list: readings.slice(0, 10) },
    { deflater: far, list: [Buffer.alloc(deflateBytesMax + 1)] },
    { deflater: far, list: [randomBytes(10_000)] },
  ];
  for (const { deflater, list } of cases) {
    const batch = batchOf(list);
    deflater.apply(batch);
    assert.equal(batch.deflatedPayloads.length, 0);
    assert.deepEqual(batch.payloads, Buffer.concat(list));
  }
});

test('after noise it is tried again only now and then, and used again when it pays', () => {
  const { deflater } = deflaterAt();
  deflater.apply(batchOf([randomBytes(10_000)]));
  let passed = 0;
  for (;;) {
    const batch = batchOf(readings);
    deflater.apply(batch);
    if (batch.deflatedPayloads.length > 0) break;
    passed++;
    assert.ok(passed < 1_000, 'it is never tried again');
  }
  assert.ok(passed > 10, `only ${passed} columns passed`);
});

const bad: readonly { name: string; spoil: (batch: Batch) => void }[] = [
  {
    name: 'comes to more than the lengths say',
    spoil: (batch) => {
      batch.deflatedPayloads = deflateRawSync(Buffer.alloc(50_000_000));
    },
  },
  {
    name: 'comes to less than the lengths say',
    spoil: (batch) => {
      batch.deflatedPayloads = deflateRawSync(Buffer.alloc(5));
    },
  },
  {
    name: 'is cut short',
    spoil: (batch) => {
      batch.deflatedPayloads = batch.deflatedPayloads.subarray(0, 40);
    },
  },
  {
    name: 'is noise',
    spoil: (batch) => {
      batch.deflatedPayloads = Buffer.alloc(500, 0xff);
    },
  },
  {
    name: 'is there beside a plain one',
    spoil: (batch) => {
      batch.payloads = Buffer.concat(readings);
    },
  },
  {
    name: 'announces more than a message may have',
    spoil: (batch) => {
      batch.lengths = batch.lengths.map(() => Math.ceil(trunkMessageBytesMax / 99));
    },
  },
  {
    name: 'announces nothing',
    spoil: (batch) => {
      batch.lengths = batch.lengths.map(() => 0);
    },
  },
];

for (const { name, spoil } of bad) {
  test(`a deflated column that ${name} is refused, and nothing of its size is allocated`, () => {
    const batch = batchOf(readings);
    deflaterAt().deflater.apply(batch);
    spoil(batch);
    const before = process.memoryUsage().arrayBuffers;
    assert.throws(
      () => new TopicDecoder().decode(batch, { now, origin: 'x' }),
      (error) => error instanceof TrunklineError && error.code === 'batch-malformed',
    );
    assert.ok(process.memoryUsage().arrayBuffers - before < 10_000_000);
  });
}
