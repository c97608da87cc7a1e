/** The fast pass over PUBLISH properties against the general decoder. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  encodeProperties,
  type Properties,
  readProperties,
} from '../../broker/mqtt5/properties.ts';
import {
  type PublishProperties,
  parsePublishProperties,
  remainingExpiry,
  storedProperties,
  writePublishProperties,
} from '../../broker/mqtt5/publish-properties.ts';
import { readVariable, variableBytes } from '../../proto/variable-byte-integer.ts';

/** Encoded single properties of PUBLISH. */
const one = fc.oneof(
  fc.nat(2).map((value) => [0x01, value]),
  fc.nat(0xffff_ffff).map((value) => [...encodeProperties({ messageExpiryInterval: value })]),
  fc.constantFrom([0x03, 0, 1, 0x61], [0x03, 0, 1, 0xff], [0x03, 0, 0]),
  fc.constantFrom([0x08, 0, 1, 0x61], [0x08, 0, 1, 0x2b], [0x08, 0, 0]),
  fc.constantFrom([0x09, 0, 2, 0xff, 0]),
  fc.constantFrom([0x0b, 1], [0x0b, 0], [0x0b, 0x80, 0x02]),
  fc.constantFrom([0x23, 0, 3], [0x23, 0, 0]),
  fc.constantFrom([0x26, 0, 1, 0x61, 0, 1, 0x62], [0x26, 0, 1, 0x61, 0, 1, 0]),
  fc.constantFrom([0x11, 0, 0, 0, 1], [0x26, 0, 5, 0]),
);

function general(bytes: Buffer): Properties | number {
  return readProperties(bytes, 0, bytes.length, 'publish');
}

test('agrees with the general decoder on any properties', () => {
  fc.assert(
    fc.property(fc.array(one, { maxLength: 6 }), (list) => {
      const bytes = Buffer.from(list.flat());
      const padded = Buffer.concat([Buffer.from([9]), bytes, Buffer.from([9])]);
      const fast = parsePublishProperties(padded, 1, 1 + bytes.length);
      const slow = general(bytes);
      assert.equal(typeof fast, typeof slow);
      if (typeof fast === 'number' || typeof slow === 'number') return;
      const { messageExpiryInterval, topicAlias, subscriptionIdentifiers, ...rest } = slow;
      assert.equal(fast.messageExpiry, messageExpiryInterval ?? -1);
      assert.equal(fast.topicAlias, topicAlias ?? 0);
      assert.equal(fast.subscriptionIdentifierPresent, subscriptionIdentifiers !== undefined);
      assert.equal(fast.isText, slow.payloadFormatIndicator === 1);
      assert.deepEqual({ ...(general(fast.kept ?? Buffer.alloc(0)) as Properties) }, rest);
    }),
    { numRuns: 3_000 },
  );
});

test('any bytes get the verdict of the general decoder', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 16 }), (list) => {
      const bytes = Buffer.from(list);
      assert.equal(typeof parsePublishProperties(bytes, 0, bytes.length), typeof general(bytes));
    }),
    { numRuns: 3_000 },
  );
});

test('gives a view of the input when what is kept lies in one piece', () => {
  const bytes = Buffer.from([0x23, 0, 3, 0x01, 1, 0x03, 0, 1, 0x61, 0x02, 0, 0, 0, 9]);
  const { kept } = parsePublishProperties(bytes, 0, bytes.length) as PublishProperties;
  assert.deepEqual(kept, bytes.subarray(3, 9));
  assert.equal(kept?.buffer, bytes.buffer);
});

test('writes what the general decoder reads', () => {
  const identifier = fc.integer({ min: 1, max: 268_435_455 });
  fc.assert(
    fc.property(
      fc.option(fc.constant(Buffer.from([0x01, 1, 0x26, 0, 1, 0x61, 0, 0]))),
      fc.integer({ min: -1, max: 0xffff_ffff }),
      fc.array(identifier, { maxLength: 40 }),
      fc.nat(0xffff),
      (kept, messageExpiry, identifiers, topicAlias) => {
        const bytes = writePublishProperties({ kept, messageExpiry, identifiers, topicAlias });
        const length = readVariable(bytes, 0, bytes.length);
        const start = variableBytes(length);
        assert.equal(bytes.length, start + length);
        const read = readProperties(bytes, start, bytes.length, 'publish') as Properties;
        assert.deepEqual(read.subscriptionIdentifiers ?? [], identifiers);
        assert.equal(read.topicAlias ?? 0, topicAlias);
        assert.equal(read.messageExpiryInterval ?? -1, messageExpiry);
        assert.equal(read.userProperties?.length ?? 0, kept === null ? 0 : 1);
      },
    ),
  );
});

test('what is stored has its expiry in front and is cut apart again', () => {
  const kept = Buffer.from([0x01, 1, 0x03, 0, 1, 0x61]);
  const stored = storedProperties(kept, 60) as Buffer;
  assert.equal(stored[0], 0x02);
  const again = parsePublishProperties(stored, 0, stored.length) as PublishProperties;
  assert.deepEqual(again.kept, kept);
  assert.equal(again.messageExpiry, 60);
  assert.equal(storedProperties(kept, -1), kept);
  assert.equal(storedProperties(null, -1), null);
});

test('tells what is left of the expiry, wherever it stands among the properties', () => {
  const behind = Buffer.from([0x01, 1, 0x26, 0, 1, 0x61, 0, 0, 0x02, 0, 0, 0, 10]);
  for (const properties of [storedProperties(null, 10), behind]) {
    assert.equal(remainingExpiry(properties, 1_000, 1_000), 10);
    assert.equal(remainingExpiry(properties, 1_000, 1_001), 10);
    assert.equal(remainingExpiry(properties, 1_000, 10_999), 1);
    assert.equal(remainingExpiry(properties, 1_000, 11_000), 0);
    assert.equal(remainingExpiry(properties, 1_000, 99_000), 0);
    assert.equal(remainingExpiry(properties, 1_000, 0), 10);
  }
  assert.equal(remainingExpiry(null, 0, 1), -1);
  assert.equal(remainingExpiry(Buffer.from([0x01, 1]), 0, 1), -1);
  assert.equal(remainingExpiry(storedProperties(null, 0), 5, 5), 0);
});
