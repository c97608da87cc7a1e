/**
 * Packets of MQTT 3.1.1 that Aedes gets or that are read for it: what its parser lets pass though
 * the protocol forbids it is found here.
 * Source: MQTT 3.1.1 sections 1.5.3, 3.1, 3.8 and 3.10.
 */
import type { Qos } from '../../base/publication.ts';
import { topicFilterFault } from '../../base/topic.ts';
import { Fields } from './fields.ts';
import type { FrameScanner } from './frame-scanner.ts';
import type { RequestedFilter, SubscribeRequest, UnsubscribeRequest } from './request.ts';

/** Protocol level of a CONNECT without the bit that bridges set; -1 when it is cut off before. */
export function connectLevel(frame: FrameScanner): number {
  const fields = new Fields(frame.buffer, frame.bodyStart, frame.end);
  fields.binary();
  const level = fields.byte() & 0x7f;
  return fields.isWhole ? level : -1;
}

/** Whether a CONNECT of MQTT 3.1 or 3.1.1 is sound. */
export function isConnectSound(frame: FrameScanner): boolean {
  const fields = new Fields(frame.buffer, frame.bodyStart, frame.end);
  fields.binary();
  fields.byte();
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
  const isWillQosSound = (flags & 0x18) !== 0x18; // [MQTT-3.1.2-14]
  return fields.isDone && !isPasswordAlone && isWillQosSound;
}

/** Null when it is malformed or a filter is invalid. */
export function subscribeRequest(
  frame: FrameScanner,
  filtersMax: number,
): SubscribeRequest | 'too-many' | null {
  if (frame.flags !== 2) return null; // [MQTT-3.8.1-1]
  const fields = new Fields(frame.buffer, frame.bodyStart, frame.end);
  const filters: RequestedFilter[] = [];
  const packetId = fields.uint16();
  if (packetId === 0) return null; // [MQTT-2.3.1-1]
  do {
    const filter = fields.text();
    const qos = fields.byte();
    if (!fields.isWhole || qos > 2 || topicFilterFault(filter) !== null) return null;
    if (filters.length === filtersMax) return 'too-many';
    filters.push({
      filter,
      qos: qos as Qos,
      noLocal: false,
      retainAsPublished: false,
      retainHandling: 0,
      identifier: 0,
    });
  } while (!fields.isDone);
  return { packetId, filters };
}

/** Null when it is malformed or a filter is invalid. */
export function unsubscribeRequest(
  frame: FrameScanner,
  filtersMax: number,
): UnsubscribeRequest | 'too-many' | null {
  if (frame.flags !== 2) return null; // [MQTT-3.10.1-1]
  const fields = new Fields(frame.buffer, frame.bodyStart, frame.end);
  const filters: string[] = [];
  const packetId = fields.uint16();
  if (packetId === 0) return null; // [MQTT-2.3.1-1]
  do {
    const filter = fields.text();
    if (!fields.isWhole || topicFilterFault(filter) !== null) return null;
    if (filters.length === filtersMax) return 'too-many';
    filters.push(filter);
  } while (!fields.isDone);
  return { packetId, filters };
}
