/** Input that MQTT forbids goes no further than the connection that it came on. */
import assert from 'node:assert/strict';
import { packet, publishPacket } from '../../support/raw-client.ts';
import type { ConformanceCase } from '../server.ts';
import { cleanFlag, connectWith, text, types, willFlag } from '../wire.ts';

function refusedConnect(name: string, bytes: Buffer): ConformanceCase {
  return {
    name,
    run: async (server) => {
      const raw = await server.raw();
      raw.send(bytes);
      const connack = await server.nextOf(raw, types.connack);
      assert.notEqual(connack?.body[1], 0, 'let in');
      assert.equal(await server.isClosed(raw), true);
    },
    finding: /let in/,
  };
}

function refusedPacket(name: string, bytes: Buffer): ConformanceCase {
  return {
    name,
    run: async (server) => {
      const watcher = await server.connect();
      await watcher.subscribe('#', 0);
      const raw = await server.session('sender');
      raw.send(bytes);
      assert.equal(await server.isClosed(raw), true, 'taken');
      await watcher.roundTrip();
      assert.deepEqual(watcher.received, [], 'taken and forwarded');
    },
    finding: /taken/,
  };
}

const will = (topic: string | Buffer) => [text('device'), text(topic), text('gone')];
const willFlags = cleanFlag | willFlag;

export const inputCases: readonly ConformanceCase[] = [
  refusedConnect(
    'a CONNECT whose will topic has a wildcard is not let in',
    connectWith(willFlags, ...will('w/#')),
  ),
  refusedConnect(
    'a CONNECT with a will of QoS 3 is not let in',
    connectWith(willFlags | 0x18, ...will('w')),
  ),
  refusedConnect(
    'a CONNECT whose client identifier is not UTF-8 is not let in',
    connectWith(cleanFlag, text(Buffer.of(0xc3, 0x28))),
  ),
  refusedPacket(
    'a PUBLISH whose topic is not UTF-8 ends its connection and goes nowhere',
    packet(0x30, text(Buffer.of(0x61, 0xc3, 0x28)), Buffer.from('x')),
  ),
  refusedPacket(
    'a PUBLISH whose topic has a NUL ends its connection and goes nowhere',
    publishPacket('a\0b', 'x'),
  ),
  refusedPacket(
    'a PUBLISH of QoS 1 with packet identifier 0 ends its connection and goes nowhere',
    publishPacket('a', 'x', { qos: 1, packetId: 0 }),
  ),
  refusedPacket(
    'a SUBSCRIBE with packet identifier 0 ends its connection',
    packet(0x82, Buffer.of(0, 0), text('a'), Buffer.of(0)),
  ),
];
