/** The scanner against mqtt-packet's encoder: every packet of a stream comes out, however it came in. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generate, type Packet } from 'mqtt-packet';
import { FrameScanner } from '../../broker/connection/frame-scanner.ts';

type Version = 4 | 5;

const frameBytesMax = (1 << 20) + 1_000;
const identifier = fc.integer({ min: 1, max: 65_535 });
const name = fc.string({ minLength: 1, maxLength: 30, unit: 'grapheme' });
const properties = fc.option(
  fc.record({
    messageExpiryInterval: fc.nat(),
    contentType: name,
    correlationData: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    userProperties: fc.dictionary(name, name, { minKeys: 1, maxKeys: 3 }),
  }),
  { nil: undefined },
);

/** Mostly small; now and then one that no chunk holds. */
const payload = fc.oneof(
  { weight: 12, arbitrary: fc.uint8Array({ maxLength: 300 }).map((one) => Buffer.from(one)) },
  { weight: 2, arbitrary: fc.integer({ min: 300, max: 70_000 }).map((size) => Buffer.alloc(size)) },
  { weight: 1, arbitrary: fc.constant(Buffer.alloc(1 << 20, 7)) },
);

const publish = fc
  .record({
    topic: name,
    payload,
    qos: fc.constantFrom(0, 1, 2),
    messageId: identifier,
    properties,
  })
  .chain((one) =>
    fc
      .record({ retain: fc.boolean(), dup: fc.boolean() })
      .map((flags) => ({ cmd: 'publish', ...one, ...flags, dup: flags.dup && one.qos > 0 })),
  );

const acknowledgement = fc
  .tuple(fc.constantFrom('puback', 'pubrec', 'pubrel', 'pubcomp'), identifier)
  .map(([cmd, messageId]) => ({ cmd, messageId }));

const subscribe = fc
  .record({ messageId: identifier, topics: fc.array(name, { minLength: 1, maxLength: 4 }) })
  .map(({ messageId, topics }) => ({
    cmd: 'subscribe',
    messageId,
    subscriptions: topics.map((topic) => ({ topic, qos: 1, nl: false, rap: false, rh: 0 })),
  }));

const bare = fc.constantFrom({ cmd: 'pingreq' }, { cmd: 'pingresp' }, { cmd: 'disconnect' });

const stream = fc.record({
  version: fc.constantFrom<Version>(4, 5),
  packets: fc.array(fc.oneof(publish, acknowledgement, subscribe, bare), {
    minLength: 1,
    maxLength: 8,
  }),
  cuts: fc.array(fc.nat(), { maxLength: 20 }),
});

function encode(packet: object, version: Version): Buffer {
  const { properties: given, ...rest } = packet as { properties?: object };
  const isPlain = version === 4 || given === undefined;
  const whole = isPlain ? rest : { ...rest, properties: given };
  return generate(whole as unknown as Packet, { protocolVersion: version });
}

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const inner = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
  const at = [0, ...inner, bytes.length];
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

/** Frames as the scanner gives them; `extend` may take in more than one at a time. */
function scan(chunks: readonly Buffer[], extend: (scanner: FrameScanner) => void = () => {}) {
  const scanner = new FrameScanner(frameBytesMax);
  const frames: Buffer[] = [];
  for (const chunk of chunks) {
    scanner.push(chunk);
    while (scanner.next()) {
      extend(scanner);
      frames.push(Buffer.from(scanner.buffer.subarray(scanner.start, scanner.end)));
    }
  }
  assert.deepEqual([scanner.fault, scanner.heldBytes], [null, 0]);
  return frames;
}

function isEqual(found: readonly Buffer[], expected: readonly Buffer[]): boolean {
  return found.length === expected.length && found.every((one, i) => one.equals(expected[i]!));
}

test('packets of MQTT 3.1.1 and 5 come out whole and in order however the stream was split', () => {
  fc.assert(
    fc.property(stream, ({ version, packets, cuts }) => {
      const frames = packets.map((packet) => encode(packet, version));
      return isEqual(scan(split(Buffer.concat(frames), cuts)), frames);
    }),
    { numRuns: 300 },
  );
});

const likely = fc
  .record({
    topic: fc.constantFrom('a', 'b', 'a/b'),
    payload: fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
    qos: fc.constantFrom(0, 0, 1),
    messageId: identifier,
    properties: fc.constantFrom(undefined, undefined, undefined, { messageExpiryInterval: 1 }),
  })
  .map((one) => ({ cmd: 'publish', ...one, dup: false, retain: false }));

test('frames taken in as a run are those that stand there, and all are like the first', () => {
  fc.assert(
    fc.property(
      fc.constantFrom<Version>(4, 5),
      fc.array(likely, { minLength: 1, maxLength: 30 }),
      fc.array(fc.nat(), { maxLength: 6 }),
      (version, packets, cuts) => {
        const frames = packets.map((packet) => encode(packet, version));
        const keys = packets.map((one) => {
          const hasProperties = version === 5 && one.properties !== undefined;
          return { head: `${one.qos} ${one.topic}`, topic: one.topic, hasProperties };
        });
        let at = 0;
        const found = scan(split(Buffer.concat(frames), cuts), (scanner) => {
          const first = keys[at]!;
          const topic = Buffer.from(first.topic);
          const head = Buffer.concat([Buffer.of(0, topic.length), topic]);
          const count = first.hasProperties ? 1 : scanner.extendRun(head, version);
          const run = keys.slice(at, at + count);
          assert.ok(run.every((one) => one.head === first.head));
          assert.ok(count === 1 || run.every((one) => !one.hasProperties));
          at += count;
        });
        assert.equal(at, frames.length);
        return Buffer.concat(found).equals(Buffer.concat(frames));
      },
    ),
    { numRuns: 500 },
  );
});

test('a run in one chunk is taken in whole', () => {
  const frames = Array.from({ length: 50 }, (_, i) =>
    encode({ cmd: 'publish', topic: 't', payload: `${i}`, qos: 1, messageId: i + 1 }, 4),
  );
  const counts: number[] = [];
  scan([Buffer.concat(frames)], (scanner) => {
    counts.push(scanner.extendRun(Buffer.from([0, 1, 0x74]), 4));
  });
  assert.deepEqual(counts, [50]);
});

test('acknowledgements taken in together are those that stand there', () => {
  fc.assert(
    fc.property(
      fc.array(acknowledgement, { minLength: 1, maxLength: 30 }),
      fc.array(fc.nat(), { maxLength: 6 }),
      (packets, cuts) => {
        const frames = packets.map((packet) => encode(packet, 4));
        let at = 0;
        const found = scan(split(Buffer.concat(frames), cuts), (scanner) => {
          const count = scanner.extendAcks();
          const types = new Set(packets.slice(at, at + count).map((one) => one.cmd));
          assert.equal(types.size, 1);
          at += count;
        });
        assert.equal(at, frames.length);
        return Buffer.concat(found).equals(Buffer.concat(frames));
      },
    ),
    { numRuns: 300 },
  );
});
