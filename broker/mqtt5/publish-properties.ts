/**
 * Properties of PUBLISH on the message path: checked in one pass and cut into what the next hop gets
 * verbatim and what belongs to this hop alone (topic alias, subscription identifiers) or changes
 * with time (message expiry). Nothing is decoded that is only passed on.
 * Source: MQTT 5 section 3.3.2.3.
 */
import { isUtf8 } from 'node:buffer';
import { readVariable, variableBytes, writeVariable } from '../../proto/variable-byte-integer.ts';
import { type ReasonCode, reasonCodes } from './reason-codes.ts';

export interface PublishProperties {
  /** 0 for none. */
  readonly topicAlias: number;
  /** Seconds; -1 for none. */
  readonly messageExpiry: number;
  readonly subscriptionIdentifierPresent: boolean;
  /** The payload says that it is UTF-8. */
  readonly isText: boolean;
  /** Encoded, without the former three and without a length: a view of the input where that is one
   * piece of it. Null for none. */
  readonly kept: Buffer | null;
}

/** What goes into an outgoing PUBLISH. */
export interface OutgoingProperties {
  readonly kept: Buffer | null;
  /** Seconds that are left; -1 for none. */
  readonly messageExpiry: number;
  readonly identifiers: readonly number[];
  /** 0 for none. */
  readonly topicAlias: number;
}

const ids = {
  payloadFormat: 0x01,
  messageExpiry: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  subscriptionIdentifier: 0x0b,
  topicAlias: 0x23,
  userProperty: 0x26,
} as const;

const expiryBytes = 5;
const aliasBytes = 3;

const none: PublishProperties = {
  topicAlias: 0,
  messageExpiry: -1,
  subscriptionIdentifierPresent: false,
  isText: false,
  kept: null,
};

const emptyBlock = Buffer.from([0]);

/** The properties that lie from `at` to `end`, without their length; or why they are bad. */
export function parsePublishProperties(
  bytes: Buffer,
  at: number,
  end: number,
): PublishProperties | ReasonCode {
  return at === end ? none : new Pass(bytes, at, end).run();
}

/** Properties for `Publication.properties`: what is kept, with the message expiry in front, where
 * `remainingExpiry` finds it at once. */
export function storedProperties(kept: Buffer | null, messageExpiry: number): Buffer | null {
  if (messageExpiry < 0) return kept;
  const bytes = Buffer.allocUnsafe(expiryBytes + (kept?.length ?? 0));
  const at = writeExpiry(bytes, 0, messageExpiry);
  kept?.copy(bytes, at);
  return bytes;
}

/** Of stored properties, those that do not change on the way: all but the message expiry. */
export function storedKept(properties: Buffer | null): Buffer | null {
  if (properties === null || messageExpiryOf(properties) < 0) return properties;
  if (properties[0] === ids.messageExpiry) {
    return properties.length === expiryBytes ? null : properties.subarray(expiryBytes);
  }
  const parsed = parsePublishProperties(properties, 0, properties.length);
  return typeof parsed === 'number' ? null : parsed.kept;
}

/** The bytes of the properties of an outgoing PUBLISH behind their length. */
export function writePublishProperties(outgoing: OutgoingProperties): Buffer {
  const { kept, messageExpiry, identifiers, topicAlias } = outgoing;
  let length = kept?.length ?? 0;
  if (messageExpiry >= 0) length += expiryBytes;
  if (topicAlias > 0) length += aliasBytes;
  for (const identifier of identifiers) length += 1 + variableBytes(identifier);
  if (length === 0) return emptyBlock;
  const bytes = Buffer.allocUnsafe(variableBytes(length) + length);
  let at = writeVariable(bytes, 0, length);
  if (messageExpiry >= 0) at = writeExpiry(bytes, at, messageExpiry);
  if (topicAlias > 0) {
    bytes[at] = ids.topicAlias;
    at = bytes.writeUInt16BE(topicAlias, at + 1);
  }
  for (const identifier of identifiers) {
    bytes[at] = ids.subscriptionIdentifier;
    at = writeVariable(bytes, at + 1, identifier);
  }
  kept?.copy(bytes, at);
  return bytes;
}

/** Seconds until a publication with these properties expires, rounded up; 0 when it has, -1 when it
 * never does. The times are milliseconds on one clock. */
export function remainingExpiry(
  properties: Buffer | null,
  acceptedAt: number,
  now: number,
): number {
  const expiry = messageExpiryOf(properties);
  if (expiry < 0) return -1;
  // A clock that was set back does not make it live longer.
  const waitedMs = Math.max(0, now - acceptedAt);
  return Math.max(0, Math.ceil(expiry - waitedMs / 1_000));
}

/** Message expiry in encoded properties that are known to be sound, or -1. */
export function messageExpiryOf(properties: Buffer | null): number {
  if (properties === null) return -1;
  let at = 0;
  while (at >= 0 && at < properties.length) {
    const next = endOf(properties, at, properties.length);
    if (next > 0 && properties[at] === ids.messageExpiry) return properties.readUInt32BE(at + 1);
    at = next;
  }
  return -1;
}

function writeExpiry(bytes: Buffer, at: number, seconds: number): number {
  bytes[at] = ids.messageExpiry;
  return bytes.writeUInt32BE(seconds, at + 1);
}

/** Where the property that begins at `at` ends, or -1 when it is cut off or not one of PUBLISH. */
function endOf(bytes: Buffer, at: number, end: number): number {
  let next: number;
  switch (bytes[at]) {
    case ids.payloadFormat:
      next = at + 2;
      break;
    case ids.messageExpiry:
      next = at + expiryBytes;
      break;
    case ids.topicAlias:
      next = at + aliasBytes;
      break;
    case ids.contentType:
    case ids.responseTopic:
    case ids.correlationData:
      next = endOfText(bytes, at + 1, end);
      break;
    case ids.userProperty: {
      const name = endOfText(bytes, at + 1, end);
      next = name < 0 ? -1 : endOfText(bytes, name, end);
      break;
    }
    case ids.subscriptionIdentifier: {
      const value = readVariable(bytes, at + 1, end);
      next = value < 0 ? -1 : at + 1 + variableBytes(value);
      break;
    }
    default:
      return -1;
  }
  return next > end ? -1 : next;
}

function endOfText(bytes: Buffer, at: number, end: number): number {
  if (at + 2 > end) return -1;
  const next = at + 2 + bytes.readUInt16BE(at);
  return next > end ? -1 : next;
}

/** [MQTT-1.5.4-1], [MQTT-1.5.4-2] */
function isTextSound(bytes: Buffer, at: number): boolean {
  const text = bytes.subarray(at + 2, at + 2 + bytes.readUInt16BE(at));
  return isUtf8(text) && !text.includes(0);
}

/** One pass over the properties of one PUBLISH. */
class Pass {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;
  /** Bit 1 << identifier of those that may stand once. */
  #seen = 0;
  #hasAlias = false;
  #alias = 0;
  #expiry = -1;
  #hasIdentifier = false;
  #isText = false;
  /** The present piece of what is kept, and the pieces before it. */
  #keptFrom = -1;
  #keptTo = -1;
  #pieces: Buffer[] | null = null;

  constructor(bytes: Buffer, at: number, end: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  run(): PublishProperties | ReasonCode {
    while (this.#at < this.#end) {
      const next = endOf(this.#bytes, this.#at, this.#end);
      if (next < 0) return reasonCodes.malformedPacket;
      const fault = this.#take(this.#bytes[this.#at] as number, next);
      if (fault !== null) return fault;
      this.#at = next;
    }
    return {
      topicAlias: this.#alias,
      messageExpiry: this.#expiry,
      subscriptionIdentifierPresent: this.#hasIdentifier,
      isText: this.#isText,
      kept: this.#kept(),
    };
  }

  #take(identifier: number, next: number): ReasonCode | null {
    const bytes = this.#bytes;
    const at = this.#at + 1;
    switch (identifier) {
      case ids.topicAlias:
        if (this.#hasAlias) return reasonCodes.protocolError;
        this.#hasAlias = true;
        this.#alias = bytes.readUInt16BE(at);
        return this.#alias === 0 ? reasonCodes.topicAliasInvalid : null; // [MQTT-3.3.2-8]
      case ids.subscriptionIdentifier:
        this.#hasIdentifier = true;
        return bytes[at] === 0 ? reasonCodes.protocolError : null;
      case ids.userProperty: {
        const isSound = isTextSound(bytes, at) && isTextSound(bytes, endOfText(bytes, at, next));
        this.#keep(next);
        return isSound ? null : reasonCodes.malformedPacket;
      }
      default:
        return this.#takeOnce(identifier, at, next);
    }
  }

  #takeOnce(identifier: number, at: number, next: number): ReasonCode | null {
    const bytes = this.#bytes;
    if ((this.#seen & (1 << identifier)) !== 0) return reasonCodes.protocolError;
    this.#seen |= 1 << identifier;
    if (identifier === ids.messageExpiry) {
      this.#expiry = bytes.readUInt32BE(at);
      return null;
    }
    this.#keep(next);
    switch (identifier) {
      case ids.payloadFormat:
        this.#isText = bytes[at] === 1;
        return (bytes[at] as number) > 1 ? reasonCodes.protocolError : null;
      case ids.contentType:
        return isTextSound(bytes, at) ? null : reasonCodes.malformedPacket;
      case ids.responseTopic:
        return responseTopicFault(bytes, at);
      default:
        return null;
    }
  }

  #keep(next: number): void {
    if (this.#keptTo === this.#at) {
      this.#keptTo = next;
      return;
    }
    this.#endPiece();
    this.#keptFrom = this.#at;
    this.#keptTo = next;
  }

  #endPiece(): void {
    if (this.#keptFrom < 0) return;
    this.#pieces ??= [];
    this.#pieces.push(this.#bytes.subarray(this.#keptFrom, this.#keptTo));
  }

  #kept(): Buffer | null {
    if (this.#keptFrom < 0) return null;
    if (this.#pieces === null) return this.#bytes.subarray(this.#keptFrom, this.#keptTo);
    this.#endPiece();
    return Buffer.concat(this.#pieces);
  }
}

function responseTopicFault(bytes: Buffer, at: number): ReasonCode | null {
  if (!isTextSound(bytes, at)) return reasonCodes.malformedPacket; // [MQTT-3.3.2-13]
  const topic = bytes.subarray(at + 2, at + 2 + bytes.readUInt16BE(at));
  const hasWildcard = topic.includes(0x23) || topic.includes(0x2b);
  return topic.length === 0 || hasWildcard ? reasonCodes.protocolError : null; // [MQTT-3.3.2-14]
}
