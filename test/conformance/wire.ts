/** Packets of MQTT 3.1.1 that the cases send: several of them in one write, or with a fault in them. */
import { packet } from '../support/raw-client.ts';

export const pingReq = Buffer.of(0xc0, 0);
export const types = {
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  suback: 9,
  pingresp: 13,
} as const;

/** A string with its two bytes of length. */
export function text(value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes]);
}

export function subscribeMany(packetId: number, filters: readonly [string, number][]): Buffer {
  const id = Buffer.of(packetId >> 8, packetId & 255);
  return packet(0x82, id, ...filters.flatMap(([filter, qos]) => [text(filter), Buffer.of(qos)]));
}

/** CONNECT with flags of the caller's choice, and the fields that belong to them. */
export function connectWith(flags: number, ...fields: readonly Buffer[]): Buffer {
  return packet(0x10, text('MQTT'), Buffer.of(4, flags, 0, 60), ...fields);
}

export const cleanFlag = 0x02;
export const willFlag = 0x04;

/** "0", "1" … in the order in which a case sends them. */
export function numbered(count: number, prefix = ''): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${i}`);
}
