/**
 * What Aedes's parser lets pass though MQTT 3.1.1 forbids it, found before the packet goes there.
 * Source: MQTT 3.1.1 sections 1.5.3, 3.1, 3.8 and 3.10.
 */
import { isUtf8 } from 'node:buffer';
import { topicFilterFault } from '../../base/topic.ts';
import type { FrameScanner } from './frame-scanner.ts';
import { subackFrame } from './frames.ts';

const refusedCode = 0x80;

/** A filter of a SUBSCRIBE and the QoS that it asks for. */
export interface RequestedFilter {
  readonly filter: string;
  readonly qos: number;
}

export function connectFault(frame: FrameScanner): 'malformed' | 'protocol-version' | null {
  const fields = new Fields(frame);
  fields.binary();
  const level = fields.byte() & 0x7f;
  // [MQTT-3.1.2-2] a level that is not known is answered; the fields of MQTT 5 are others.
  if (fields.isWhole && (level < 3 || level > 5)) return 'protocol-version';
  if (level === 5) return null;
  const flags = fields.byte();
  fields.uint16();
  fields.text();
  if ((flags & 0x04) !== 0) {
    fields.text();
    fields.binary();
  }
  if ((flags & 0x80) !== 0) fields.text();
  if ((flags & 0x40) !== 0) fields.binary();
  const isPasswordAlone = (flags & 0xc0) === 0x40; // [MQTT-3.1.2-22]
  return fields.isDone && !isPasswordAlone ? null : 'malformed';
}

/** The filters of a SUBSCRIBE in order; null when it is malformed or a filter is invalid. */
export function requestedFilters(frame: FrameScanner): RequestedFilter[] | null {
  const fields = new Fields(frame);
  const requested: RequestedFilter[] = [];
  if (fields.uint16() === 0) return null; // [MQTT-2.3.1-1]
  do {
    const filter = fields.text();
    const qos = fields.byte();
    if (!fields.isWhole || qos > 2 || topicFilterFault(filter) !== null) return null;
    requested.push({ filter, qos });
  } while (!fields.isDone);
  return requested;
}

export function isUnsubscribeSound(frame: FrameScanner): boolean {
  const fields = new Fields(frame);
  if (fields.uint16() === 0) return false; // [MQTT-2.3.1-1]
  do {
    if (topicFilterFault(fields.text()) !== null) return false;
  } while (fields.isWhole && !fields.isDone);
  return fields.isWhole;
}

/** Aedes answers a filter that is named twice once: [MQTT-3.9.3-1] wants a code for each. */
export function completeSuback(frame: Buffer, requested: readonly RequestedFilter[]): Buffer {
  const names = new Set(requested.map(({ filter }) => filter));
  if (names.size === requested.length) return frame;
  const granted = frame.subarray(frame.length - names.size);
  const refused = new Set([...names].filter((_, at) => granted[at] === refusedCode));
  const packetId = frame.readUInt16BE(frame.length - names.size - 2);
  return subackFrame(
    packetId,
    requested.map(({ filter, qos }) => (refused.has(filter) ? refusedCode : qos)),
  );
}

/** Reads the fields of a packet one after the other; past the end they are empty. */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;
  /** Every field so far was there, and every text was UTF-8 without NUL. */
  isWhole = true;

  constructor({ buffer, bodyStart, end }: FrameScanner) {
    this.#bytes = buffer.subarray(bodyStart, end);
  }

  /** Nothing is missing and nothing is left over. */
  get isDone(): boolean {
    return this.isWhole && this.#at === this.#bytes.length;
  }

  byte(): number {
    return this.#take(1)[0] ?? 0;
  }

  uint16(): number {
    const bytes = this.#take(2);
    return bytes.length === 2 ? bytes.readUInt16BE(0) : 0;
  }

  binary(): Buffer {
    return this.#take(this.uint16());
  }

  text(): string {
    const bytes = this.binary();
    // [MQTT-1.5.3-1], [MQTT-1.5.3-2]
    if (!isUtf8(bytes) || bytes.includes(0)) this.isWhole = false;
    return bytes.toString('utf8');
  }

  #take(length: number): Buffer {
    const end = this.#at + length;
    if (end > this.#bytes.length) this.isWhole = false;
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}
