/** Properties against mqtt-packet, another codec of the same format, byte for byte. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generate, type Packet } from 'mqtt-packet';
import {
  encodeProperties,
  type Properties,
  type PropertyPlace,
  readProperties,
  writeProperties,
} from '../../broker/mqtt5/properties.ts';
import { ruleNamed } from '../../broker/mqtt5/property-table.ts';
import { reasonCodes } from '../../broker/mqtt5/reason-codes.ts';
import { readVariable, variableBytes } from '../../proto/variable-byte-integer.ts';

type Peer = Record<string, unknown>;

const places: readonly PropertyPlace[] = [
  ...(['connect', 'will', 'connack', 'publish', 'puback', 'pubrec', 'pubrel'] as const),
  ...(['pubcomp', 'subscribe', 'suback', 'unsubscribe', 'unsuback', 'disconnect'] as const),
  'auth',
];

const text = fc.string({ unit: 'binary', maxLength: 12 }).filter((one) => !one.includes('\0'));
const flag = fc.nat(1);
const uint16 = fc.integer({ min: 1, max: 0xffff });
const uint32 = fc.integer({ min: 1, max: 0xffff_ffff });
const binary = fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes));
const pairs = fc.array(fc.tuple(fc.constantFrom('b', 'c', 'd'), text), { minLength: 1 });

const values = {
  payloadFormatIndicator: flag,
  messageExpiryInterval: uint32,
  contentType: text,
  responseTopic: fc.constantFrom('a', 'reply/to/ü'),
  correlationData: binary,
  subscriptionIdentifiers: fc.array(fc.integer({ min: 1, max: 268_435_455 }), {
    minLength: 1,
    maxLength: 3,
  }),
  sessionExpiryInterval: uint32,
  assignedClientIdentifier: text,
  serverKeepAlive: uint16,
  authenticationMethod: text,
  authenticationData: binary,
  requestProblemInformation: flag,
  willDelayInterval: uint32,
  requestResponseInformation: flag,
  responseInformation: text,
  serverReference: text,
  reasonString: text,
  receiveMaximum: uint16,
  topicAliasMaximum: uint16,
  topicAlias: uint16,
  maximumQos: flag,
  retainAvailable: flag,
  // Grouped by name, because mqtt-packet can't say another order.
  userProperties: pairs.map((list) => list.toSorted(([a], [b]) => a.localeCompare(b))),
  maximumPacketSize: uint32,
  wildcardSubscriptionAvailable: flag,
  subscriptionIdentifiersAvailable: flag,
  sharedSubscriptionAvailable: flag,
};

const anyProperties = fc.record(values, { requiredKeys: [] }) as fc.Arbitrary<Properties>;

/** What of it may stand at the place. */
function only(properties: Properties, place: PropertyPlace): Properties {
  const kept = Object.entries(properties).filter(([name]) => {
    return ruleNamed(name)?.places.has(place) === true;
  });
  const found = Object.fromEntries(kept) as Properties;
  const [first] = found.subscriptionIdentifiers ?? [];
  if (first !== undefined && place === 'subscribe') found.subscriptionIdentifiers = [first];
  return found;
}

function toPeer(properties: Properties): Peer {
  const peer: Peer = {};
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'maximumQos') peer['maximumQoS'] = value;
    else if (name === 'subscriptionIdentifiers') peer['subscriptionIdentifier'] = value;
    else if (name === 'userProperties') peer[name] = grouped(value as [string, string][]);
    else if (ruleNamed(name)?.type === 'byte') peer[name] = value === 1;
    else peer[name] = value;
  }
  return peer;
}

function grouped(list: [string, string][]): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const [name, value] of list) {
    found[name] ??= [];
    found[name].push(value);
  }
  return found;
}

/** The properties of a CONNACK by mqtt-packet, with their length. */
function peerBytes(properties: Properties): Buffer {
  const packet = { cmd: 'connack', reasonCode: 0, sessionPresent: false };
  const whole = { ...packet, properties: toPeer(properties) } as unknown as Packet;
  const frame = generate(whole, { protocolVersion: 5 });
  return frame.subarray(1 + variableBytes(readVariable(frame, 1, frame.length)) + 2);
}

test('encodes properties to the bytes that mqtt-packet writes', () => {
  fc.assert(
    fc.property(anyProperties, (properties) => {
      assert.deepEqual(writeProperties(properties), peerBytes(properties));
    }),
  );
});

test('decodes what mqtt-packet wrote, at every place where the properties may stand', () => {
  fc.assert(
    fc.property(anyProperties, fc.constantFrom(...places), (any, place) => {
      const properties = only(any, place);
      const bytes = peerBytes(properties);
      const start = variableBytes(readVariable(bytes, 0, bytes.length));
      assert.deepEqual(
        { ...(readProperties(bytes, start, bytes.length, place) as object) },
        properties,
      );
    }),
  );
});

test('any bytes give properties or a reason code, and properties give the same bytes again', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 24 }), fc.constantFrom(...places), (bytes, place) => {
      const found = readProperties(Buffer.from(bytes), 0, bytes.length, place);
      if (typeof found === 'number') {
        assert.ok(found >= 0x80);
        return;
      }
      const again = readProperties(
        encodeProperties(found),
        0,
        encodeProperties(found).length,
        place,
      );
      assert.deepEqual(again, found);
    }),
    { numRuns: 2_000 },
  );
});

const faulty: readonly [string, number[], PropertyPlace, number][] = [
  ['a property twice [section 3.1.2.11]', [0x21, 0, 1, 0x21, 0, 1], 'connect', 0x82],
  ['a subscription identifier twice in SUBSCRIBE', [0x0b, 1, 0x0b, 2], 'subscribe', 0x82],
  ['a property of another packet', [0x23, 0, 1], 'connect', 0x81],
  ['an unknown identifier', [0x7e, 0], 'connect', 0x81],
  ['an identifier in two bytes', [0xa6, 0x00], 'connect', 0x81],
  ['a value that is cut off', [0x11, 0, 0], 'connect', 0x81],
  ['text that is not UTF-8 [MQTT-1.5.4-1]', [0x1f, 0, 1, 0xff], 'connack', 0x81],
  ['text with NUL [MQTT-1.5.4-2]', [0x1f, 0, 1, 0], 'connack', 0x81],
  ['an encoded surrogate [MQTT-1.5.4-1]', [0x1f, 0, 3, 0xed, 0xa0, 0x80], 'connack', 0x81],
  ['receive maximum 0', [0x21, 0, 0], 'connect', 0x82],
  ['maximum packet size 0', [0x27, 0, 0, 0, 0], 'connect', 0x82],
  ['a flag of 2', [0x17, 2], 'connect', 0x82],
  ['subscription identifier 0', [0x0b, 0], 'subscribe', 0x82],
  ['a subscription identifier longer than need be', [0x0b, 0x81, 0x00], 'subscribe', 0x81],
  ['a subscription identifier of five bytes', [0x0b, 255, 255, 255, 255, 1], 'subscribe', 0x81],
  ['topic alias 0 [MQTT-3.3.2-8]', [0x23, 0, 0], 'publish', reasonCodes.topicAliasInvalid],
  ['a response topic with a wildcard [MQTT-3.3.2-14]', [0x08, 0, 1, 0x23], 'publish', 0x82],
];

for (const [what, bytes, place, reason] of faulty) {
  test(`refuses ${what} with reason 0x${reason.toString(16)}`, () => {
    assert.equal(readProperties(Buffer.from(bytes), 0, bytes.length, place), reason);
  });
}
