/** Control packets of MQTT 5 against mqtt-packet, and against any bytes at all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generate, type IConnectPacket, type Packet, parser } from 'mqtt-packet';
import { FrameScanner } from '../../broker/connection/frame-scanner.ts';
import { readAuth } from '../../broker/mqtt5/auth.ts';
import { type Connect5, connect311, readConnect } from '../../broker/mqtt5/connect.ts';
import { closeReasonOf, readDisconnect } from '../../broker/mqtt5/disconnect.ts';
import { readSubscribe, readUnsubscribe } from '../../broker/mqtt5/subscribe.ts';

function frame(bytes: Buffer): FrameScanner {
  const scanner = new FrameScanner(1_000_000);
  scanner.push(bytes);
  assert.ok(scanner.next());
  return scanner;
}

function generated(packet: Record<string, unknown>): Buffer {
  return generate(packet as unknown as Packet, { protocolVersion: 5 });
}

const will = {
  topic: 'w',
  payload: Buffer.from('gone'),
  qos: 1,
  retain: true,
  properties: { willDelayInterval: 9, messageExpiryInterval: 5, contentType: 'c' },
};

const filtersMax = 100;

const samples: readonly [(scanner: FrameScanner, filtersMax: number) => unknown, Buffer][] = [
  [
    readConnect,
    generated({
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: 5, clean: true },
      ...{ clientId: 'c', keepalive: 9, username: 'u', password: Buffer.from('p'), will },
      properties: { sessionExpiryInterval: 60, userProperties: { a: 'b' } },
    }),
  ],
  [
    readSubscribe,
    generated({
      ...{ cmd: 'subscribe', messageId: 3, properties: { subscriptionIdentifier: 300 } },
      subscriptions: [{ topic: 'a/#', qos: 2, nl: true, rap: true, rh: 1 }],
    }),
  ],
  [readUnsubscribe, generated({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['a', 'b'] })],
  [
    readDisconnect,
    generated({ cmd: 'disconnect', reasonCode: 4, properties: { sessionExpiryInterval: 7 } }),
  ],
  [
    readAuth,
    generated({ cmd: 'auth', reasonCode: 0x18, properties: { authenticationMethod: 'm' } }),
  ],
];

test('CONNECT is read with all its fields', () => {
  const [read, bytes] = samples[0] as (typeof samples)[0];
  const connect = read(frame(bytes), filtersMax) as Connect5;
  const { properties, will: given, ...rest } = connect;
  assert.deepEqual(rest, {
    ...{ clientId: 'c', cleanStart: true, keepAliveSeconds: 9 },
    ...{ username: 'u', password: Buffer.from('p') },
  });
  assert.deepEqual({ ...properties }, { sessionExpiryInterval: 60, userProperties: [['a', 'b']] });
  assert.deepEqual(given, {
    ...{ topic: 'w', payload: Buffer.from('gone'), qos: 1, retain: true, delaySeconds: 9 },
    // Message expiry first, then what is kept; the delay is no property of the message.
    properties: Buffer.from([0x02, 0, 0, 0, 5, 0x03, 0, 1, 0x63]),
  });
});

test('the CONNECT for the session host is one of MQTT 3.1.1', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), fc.boolean(), (any, isKept) => {
      const clientId = any.replaceAll('\0', '') || 'c';
      const read = parser();
      let seen: IConnectPacket | undefined;
      read.on('packet', (packet) => {
        seen = packet as IConnectPacket;
      });
      read.parse(connect311({ clientId, isKept, keepAliveSeconds: 77 }));
      assert.deepEqual(
        [seen?.protocolVersion, seen?.clientId, seen?.clean, seen?.keepalive, seen?.will],
        [4, clientId, !isKept, 77, undefined],
      );
    }),
  );
});

test('a packet with any of its bytes changed, added or cut off is read or refused', () => {
  const change = fc.record({
    sample: fc.constantFrom(...samples),
    at: fc.nat(200),
    byte: fc.nat(255),
    cut: fc.nat(20),
    extra: fc.uint8Array({ maxLength: 3 }),
  });
  fc.assert(
    fc.property(change, ({ sample: [read, bytes], at, byte, cut, extra }) => {
      const body = Buffer.from(bytes.subarray(2, bytes.length - (cut % (bytes.length - 2))));
      if (body.length > 0) body[at % body.length] = byte;
      const changed = Buffer.concat([
        bytes.subarray(0, 1),
        Buffer.of(body.length + extra.length),
        body,
        extra,
      ]);
      const found = read(frame(changed), filtersMax);
      if (typeof found === 'number') assert.equal(typeof closeReasonOf(found as 0x81), 'string');
      else assert.equal(typeof found, 'object');
    }),
    { numRuns: 5_000 },
  );
});
