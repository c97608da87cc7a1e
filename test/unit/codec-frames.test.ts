/** Frames that Trunkline writes against mqtt-packet, another encoder, byte for byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generate, type Packet } from 'mqtt-packet';
import { ackFrame, ackHeads, publishFrame, subackFrame } from '../../broker/connection/frames.ts';

const identifier = fc.integer({ min: 1, max: 65_535 });
const topic = fc.string({ minLength: 1, maxLength: 200, unit: 'grapheme' });

/** Sizes at which the remaining length gets another byte are what goes wrong first. */
const size = fc.oneof(
  fc.nat(300),
  fc.integer({ min: 2_000, max: 2_100 }),
  fc.integer({ min: 16_100, max: 16_500 }),
  fc.constantFrom(1 << 20, 2_096_000, 2_097_151, 2_097_152),
);

const flags = fc.record({
  qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
  retain: fc.boolean(),
  dup: fc.boolean(),
  packetId: identifier,
});

function same(ours: Buffer, packet: object, protocolVersion: 4 | 5): void {
  const theirs = generate(packet as Packet, { protocolVersion });
  // Comparing bytes first: a difference of megabytes is not to be shown.
  assert.ok(ours.equals(theirs), `${ours.length} and ${theirs.length} bytes`);
}

test('a PUBLISH of MQTT 3.1.1 is what another encoder writes', () => {
  fc.assert(
    fc.property(topic, size, flags, (name, bytes, { qos, retain, dup, packetId }) => {
      const payload = Buffer.alloc(bytes, 0x61);
      const isAgain = dup && qos > 0;
      const head = { qos, retain, dup: isAgain, packetId, properties: null };
      const ours = Buffer.concat(publishFrame(name, payload, head));
      const messageId = packetId;
      same(ours, { cmd: 'publish', topic: name, payload, qos, retain, dup: isAgain, messageId }, 4);
    }),
    { numRuns: 300 },
  );
});

test('a PUBLISH of MQTT 5 without properties is what another encoder writes', () => {
  fc.assert(
    fc.property(topic, size, flags, (name, bytes, { qos, retain, packetId }) => {
      const payload = Buffer.alloc(bytes, 0x61);
      const head = { qos, retain, dup: false, packetId, properties: Buffer.of(0) };
      const ours = Buffer.concat(publishFrame(name, payload, head));
      const messageId = packetId;
      same(ours, { cmd: 'publish', topic: name, payload, qos, retain, dup: false, messageId }, 5);
    }),
    { numRuns: 100 },
  );
});

test('acknowledgements are what another encoder writes', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('puback' as const, 'pubrec' as const, 'pubrel' as const, 'pubcomp' as const),
      identifier,
      (cmd, messageId) => same(ackFrame(ackHeads[cmd], messageId), { cmd, messageId }, 4),
    ),
  );
});

test('a SUBACK has its codes in order, in as many bytes as another encoder writes', () => {
  fc.assert(
    fc.property(
      identifier,
      fc.array(fc.constantFrom(0, 1, 2, 0x80), { minLength: 1, maxLength: 300 }),
      (messageId, granted) =>
        same(subackFrame(messageId, granted), { cmd: 'suback', messageId, granted }, 4),
    ),
  );
});
