/**
 * Checks encoded MQTT 5 properties of a publication before they enter: a device far away would be
 * cut off for a malformed block that a gateway sent.
 * Source: MQTT 5.0 sections 2.2.2 and 3.3.2.3.
 */
import { topicNameFault } from '../../base/topic.ts';

type Kind = 'byte' | 'four-bytes' | 'string' | 'binary' | 'string-pair';

/** Topic Alias and Subscription Identifier belong to one connection and cannot be passed on. */
const kinds = new Map<number, { name: string; kind: Kind }>([
  [0x01, { name: 'Payload Format Indicator', kind: 'byte' }],
  [0x02, { name: 'Message Expiry Interval', kind: 'four-bytes' }],
  [0x03, { name: 'Content Type', kind: 'string' }],
  [0x08, { name: 'Response Topic', kind: 'string' }],
  [0x09, { name: 'Correlation Data', kind: 'binary' }],
  [0x26, { name: 'User Property', kind: 'string-pair' }],
]);

const userProperty = 0x26;
const responseTopic = 0x08;
const payloadFormat = 0x01;
const decoder = new TextDecoder('utf-8', { fatal: true });

/** What is wrong, as words for an error message, or null when the block is valid. */
export function propertiesFault(block: Buffer): string | null {
  const seen = new Set<number>();
  let at = 0;
  while (at < block.length) {
    const id = block[at] as number;
    const property = kinds.get(id);
    if (property === undefined) return `have identifier ${id}, which a publication cannot carry`;
    // [MQTT-3.3.2.3] each but the user property stands once.
    if (seen.has(id) && id !== userProperty) return `have ${property.name} twice`;
    seen.add(id);
    const end = endOf(block, at + 1, property.kind);
    if (end === null) return `have a ${property.name} that is cut off or not UTF-8`;
    const fault = valueFault(id, block.subarray(at + 1, end));
    if (fault !== null) return `have a ${property.name} that ${fault}`;
    at = end;
  }
  return null;
}

function valueFault(id: number, value: Buffer): string | null {
  if (id === payloadFormat) return (value[0] as number) > 1 ? 'is neither 0 nor 1' : null;
  if (id === responseTopic) return topicNameFault(value.toString('utf8', 2)); // [MQTT-3.3.2-14]
  return null;
}

/** Where the value ends; null when it does not end in the block. */
function endOf(block: Buffer, start: number, kind: Kind): number | null {
  switch (kind) {
    case 'byte':
      return within(block, start + 1);
    case 'four-bytes':
      return within(block, start + 4);
    case 'binary':
      return endOfCounted(block, start);
    case 'string':
      return endOfString(block, start);
    case 'string-pair': {
      const middle = endOfString(block, start);
      return middle === null ? null : endOfString(block, middle);
    }
  }
}

function within(block: Buffer, end: number): number | null {
  return end <= block.length ? end : null;
}

function endOfCounted(block: Buffer, start: number): number | null {
  if (start + 2 > block.length) return null;
  return within(block, start + 2 + block.readUInt16BE(start));
}

function endOfString(block: Buffer, start: number): number | null {
  const end = endOfCounted(block, start);
  if (end === null) return null;
  try {
    return decoder.decode(block.subarray(start + 2, end)).includes('\0') ? null : end;
  } catch {
    return null; // Not UTF-8, which is what is asked here.
  }
}
