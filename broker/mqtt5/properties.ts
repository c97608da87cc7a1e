/**
 * Properties of MQTT 5 packets, decoded and encoded. Every rule that a packet's properties must
 * obey is checked here; what a value means is for the reader of the packet.
 * Source: MQTT 5 section 2.2.2.
 */

import { variableBytes, writeVariable } from '../../proto/variable-byte-integer.ts';
import { Fields } from '../connection/fields.ts';
import {
  type Properties,
  type PropertyName,
  type PropertyPlace,
  type PropertyRule,
  repeatsIn,
  ruleNamed,
  ruleOf,
  type UserProperty,
} from './property-table.ts';
import { type ReasonCode, reasonCodes } from './reason-codes.ts';

export type { Properties, PropertyPlace } from './property-table.ts';

type Value = number | string | Buffer | UserProperty;
type Stored = Value | readonly (number | UserProperty)[];

const none: Properties = Object.freeze({});

/** Properties that lie in `bytes` from `at` to `end`, without their length; or why they are bad. */
export function readProperties(
  bytes: Buffer,
  at: number,
  end: number,
  place: PropertyPlace,
): Properties | ReasonCode {
  return at === end ? none : readAll(new Fields(bytes, at, end), place);
}

/** The same from a packet that is being read: the length, then so many bytes of properties. */
export function takeProperties(fields: Fields, place: PropertyPlace): Properties | ReasonCode {
  const block = fields.take(fields.variable());
  if (!fields.isWhole) return reasonCodes.malformedPacket;
  return readProperties(block, 0, block.length, place);
}

/** The bytes of the properties in the order in which they are named, behind their length. */
export function writeProperties(properties: Properties): Buffer {
  const block = encodeProperties(properties);
  const bytes = Buffer.allocUnsafe(variableBytes(block.length) + block.length);
  block.copy(bytes, writeVariable(bytes, 0, block.length));
  return bytes;
}

/** The same without the length. */
export function encodeProperties(properties: Properties): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of Object.entries(properties) as [string, Stored | undefined][]) {
    const rule = ruleNamed(name);
    if (rule === undefined || value === undefined) continue;
    const isMany = rule.repeats !== 'never';
    for (const one of isMany ? (value as readonly Value[]) : [value as Value]) {
      parts.push(Buffer.from([rule.identifier]), encode(rule, one));
    }
  }
  return Buffer.concat(parts);
}

function readAll(fields: Fields, place: PropertyPlace): Properties | ReasonCode {
  const found: Properties = {};
  while (!fields.isDone) {
    const rule = ruleOf(fields.byte());
    // An identifier that is unknown or not for this packet makes it malformed (section 2.2.2.2).
    if (rule === undefined || !rule.places.has(place)) return reasonCodes.malformedPacket;
    const value = decode(fields, rule);
    if (!fields.isWhole) return reasonCodes.malformedPacket;
    const fault = valueFault(rule, value);
    if (fault !== null) return fault;
    if (!put(found, rule, value, place)) return reasonCodes.protocolError;
  }
  return found;
}

/** False when it was there already and may not repeat. */
function put(found: Properties, rule: PropertyRule, value: Value, place: PropertyPlace): boolean {
  const target = found as Partial<Record<PropertyName, Stored>>;
  const before = target[rule.name];
  if (before !== undefined && !repeatsIn(rule, place)) return false;
  if (rule.repeats === 'never') target[rule.name] = value;
  else if (before === undefined) target[rule.name] = [value as number | UserProperty];
  else (before as Value[]).push(value);
  return true;
}

function valueFault(rule: PropertyRule, value: Value): ReasonCode | null {
  if (typeof value === 'number' && (value < rule.min || value > rule.max)) return rule.fault;
  // [MQTT-3.3.2-14], [MQTT-3.3.2-13]
  if (rule.name === 'responseTopic' && !isTopicName(value as string)) {
    return reasonCodes.protocolError;
  }
  return null;
}

function isTopicName(text: string): boolean {
  return text.length > 0 && !text.includes('+') && !text.includes('#');
}

function decode(fields: Fields, rule: PropertyRule): Value {
  switch (rule.type) {
    case 'byte':
      return fields.byte();
    case 'uint16':
      return fields.uint16();
    case 'uint32':
      return fields.uint32();
    case 'variable':
      return fields.variable();
    case 'text':
      return fields.text();
    case 'binary':
      return fields.binary();
    case 'pair':
      return [fields.text(), fields.text()];
  }
}

function encode(rule: PropertyRule, value: Value): Buffer {
  switch (rule.type) {
    case 'byte':
      return Buffer.from([value as number]);
    case 'uint16':
      return uint16(value as number);
    case 'uint32': {
      const bytes = Buffer.allocUnsafe(4);
      bytes.writeUInt32BE(value as number);
      return bytes;
    }
    case 'variable': {
      const bytes = Buffer.allocUnsafe(variableBytes(value as number));
      writeVariable(bytes, 0, value as number);
      return bytes;
    }
    case 'text':
      return text(value as string);
    case 'binary':
      return Buffer.concat([uint16((value as Buffer).length), value as Buffer]);
    case 'pair':
      return Buffer.concat((value as UserProperty).map(text));
  }
}

function uint16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint16(bytes.length), bytes]);
}
