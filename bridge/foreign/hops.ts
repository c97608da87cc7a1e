/**
 * How many foreign bridges a publication has passed, in a user property: what goes round in a ring
 * of brokers ends somewhere. MQTT 3.1.1 cannot carry it.
 * Source of the layout: MQTT 5 sections 2.2.2 and 3.3.2.3.
 */
import { readVariable, variableBytes } from '../../proto/variable-byte-integer.ts';

const userProperty = 0x26;
const name = Buffer.from('trunkline-hops');

interface Found {
  readonly hops: number;
  /** Where the property stands; both 0 when there is none. */
  readonly start: number;
  readonly end: number;
}

export function hopsOf(properties: Buffer): number {
  return find(properties).hops;
}

/** The same properties with one hop more. */
export function withNextHop(properties: Buffer): Buffer {
  const { hops, start, end } = find(properties);
  const rest = [properties.subarray(0, start), properties.subarray(end)];
  return Buffer.concat([...rest, Buffer.of(userProperty), text(name), text(`${hops + 1}`)]);
}

function find(properties: Buffer): Found {
  let at = 0;
  while (at < properties.length) {
    const end = endOf(properties, at);
    if (properties[at] === userProperty && isNamed(properties, at + 1)) {
      const value = at + 3 + name.length;
      const hops = Number(properties.toString('latin1', value + 2, end));
      // A number that somebody else made up ends it as well as one that is too high.
      const isSound = Number.isInteger(hops) && hops >= 0;
      return { hops: isSound ? hops : Number.MAX_SAFE_INTEGER - 1, start: at, end };
    }
    at = end;
  }
  return { hops: 0, start: 0, end: 0 };
}

function isNamed(properties: Buffer, at: number): boolean {
  const end = at + 2 + name.length;
  return (
    properties.readUInt16BE(at) === name.length && name.equals(properties.subarray(at + 2, end))
  );
}

/** Where the property ends that begins here. Throws when it is none of PUBLISH, or cut off. */
function endOf(properties: Buffer, at: number): number {
  switch (properties[at]) {
    case 0x01:
      return at + 2;
    case 0x02:
      return at + 5;
    case 0x23:
      return at + 3;
    case 0x03:
    case 0x08:
    case 0x09:
      return endOfText(properties, at + 1);
    case userProperty:
      return endOfText(properties, endOfText(properties, at + 1));
    case 0x0b:
      return (
        at + 1 + variableBytes(Math.max(0, readVariable(properties, at + 1, properties.length)))
      );
    default:
      throw new Error(`a PUBLISH has a property ${properties[at]}`);
  }
}

function endOfText(properties: Buffer, at: number): number {
  return at + 2 + properties.readUInt16BE(at);
}

function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as string);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes]);
}
