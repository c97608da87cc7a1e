/** The scanner against mqtt-packet's encoder: every frame comes out whole however it was split. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameScanner } from '../../broker/connection/frame-scanner.ts';
import { publishFrame } from '../../broker/connection/frames.ts';

function framesOf(chunks: readonly Buffer[], frameBytesMax = 1 << 20) {
  const scanner = new FrameScanner(frameBytesMax);
  const frames: Buffer[] = [];
  for (const chunk of chunks) {
    scanner.push(chunk);
    while (scanner.next()) {
      frames.push(Buffer.from(scanner.buffer.subarray(scanner.start, scanner.end)));
    }
  }
  return { frames, fault: scanner.fault };
}

const plain = { retain: false, dup: false, properties: null };

const frame = fc
  .record({
    topic: fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }),
    payload: fc.uint8Array({ maxLength: 20_000 }),
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    packetId: fc.integer({ min: 1, max: 65_535 }),
  })
  .map(({ topic, payload, qos, packetId }) =>
    Buffer.concat(publishFrame(topic, Buffer.from(payload), { qos, packetId, ...plain })),
  );

function split(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [
    0,
    ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b),
    bytes.length,
  ];
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

test('frames come out whole and in order however the stream was split', () => {
  fc.assert(
    fc.property(
      fc.array(frame, { minLength: 1, maxLength: 8 }),
      fc.array(fc.nat(), { maxLength: 20 }),
      (frames, cuts) => {
        const found = framesOf(split(Buffer.concat(frames), cuts));
        assert.equal(found.fault, null);
        assert.deepEqual(found.frames, frames);
      },
    ),
    { numRuns: 200 },
  );
});

test('byte by byte gives the same frames', () => {
  const bytes = Buffer.concat([
    ...publishFrame('a', Buffer.alloc(300), { qos: 0, packetId: 0, ...plain }),
    Buffer.from([0xc0, 0]),
  ]);
  const { frames } = framesOf([...bytes].map((byte) => Buffer.from([byte])));
  assert.deepEqual(Buffer.concat(frames), bytes);
});

test('a remaining length of five bytes is malformed', () => {
  const { fault } = framesOf([Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01])]);
  assert.equal(fault, 'length-malformed');
});

test('a frame beyond the bound is refused from its header, before it is buffered', () => {
  const { fault } = framesOf([Buffer.from([0x30, 0x80, 0x80, 0x04])], 1024);
  assert.equal(fault, 'too-large');
});

test('a chunk that is used up is not kept', () => {
  const scanner = new FrameScanner(1 << 20);
  const ping = Buffer.from([0xc0, 0]);
  scanner.push(Buffer.concat([ping, ping]));
  assert.deepEqual([scanner.next(), scanner.next(), scanner.next()], [true, true, false]);
  assert.equal(scanner.buffer.length, 0);
  scanner.push(ping);
  assert.deepEqual([scanner.next(), scanner.end - scanner.start], [true, 2]);
});
