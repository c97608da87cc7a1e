/**
 * Reads PUBLISH of one client: topic or topic alias, packet identifier, properties; and checks
 * whether the topic is one that it may publish to.
 * Source: MQTT 3.1.1 and MQTT 5, section 3.3.
 */
import { isUtf8 } from 'node:buffer';
import type { Clock } from '../base/clock.ts';
import type { Ledger } from '../base/ledger.ts';
import type { Publication, Qos } from '../base/publication.ts';
import { topicNameFault } from '../base/topic.ts';
import type { FrameForm } from '../proto/run.ts';
import { readVariable, variableBytes } from '../proto/variable-byte-integer.ts';
import type { Principal } from './authorize.ts';
import type { CloseReason } from './connection/connection-port.ts';
import type { FrameScanner } from './connection/frame-scanner.ts';
import {
  type PublishProperties,
  parsePublishProperties,
  storedProperties,
} from './mqtt5/publish-properties.ts';
import { type ReasonCode, reasonCodes } from './mqtt5/reason-codes.ts';
import { type TopicBounds, topicBoundPast } from './topic-bounds.ts';
import { type KnownTopic, TopicCache } from './topic-cache.ts';

export interface Published {
  readonly publication: Publication;
  /** 0 for QoS 0. */
  readonly packetId: number;
  readonly isAllowed: boolean;
}

export interface PublishReaderParts {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly principal: Principal;
  readonly bounds: TopicBounds;
  readonly onLimit: (limit: keyof TopicBounds) => void;
}

interface Head {
  readonly qos: Qos;
  readonly packetId: number;
  /** Where topic bytes, properties and payload begin. */
  readonly topicStart: number;
  readonly topicEnd: number;
  readonly restStart: number;
}

const noProperties: PublishProperties = {
  topicAlias: 0,
  messageExpiry: -1,
  subscriptionIdentifierPresent: false,
  isText: false,
  kept: null,
};

export class PublishReader {
  readonly #parts: PublishReaderParts;
  readonly #form: FrameForm;
  readonly #aliasesMax: number;
  readonly #topics = new TopicCache();
  #aliases: Map<number, string> | null = null;

  constructor(
    parts: PublishReaderParts,
    options: { readonly form: FrameForm; readonly aliasesMax: number },
  ) {
    this.#parts = parts;
    this.#form = options.form;
    this.#aliasesMax = options.aliasesMax;
  }

  /** The frame's topic when it has passed before; null when it has to be read in full. */
  topicOf({ buffer, bodyStart, end }: FrameScanner): KnownTopic | null {
    if (bodyStart + 2 > end) return null;
    const topicBytes = ((buffer[bodyStart] as number) << 8) | (buffer[bodyStart + 1] as number);
    const topicEnd = bodyStart + 2 + topicBytes;
    return topicEnd > end ? null : this.#topics.find(buffer, bodyStart, topicEnd);
  }

  /** Whether there is nothing special about it: sound, allowed, not retained, without properties. */
  isPlain({ buffer, bodyStart, end, flags }: FrameScanner, topic: KnownTopic): boolean {
    const qos = (flags >> 1) & 3;
    if ((flags & 1) !== 0 || qos === 3 || flags === 8) return false;
    if (qos > topic.qosMax || topic.grants !== this.#parts.principal.grants) return false;
    let at = bodyStart + topic.encoded.length;
    if (qos > 0) {
      if (at + 2 > end || (buffer[at] === 0 && buffer[at + 1] === 0)) return false;
      at += 2;
    }
    return this.#form === 4 || (at < end && buffer[at] === 0);
  }

  /** The whole of it, or why the connection must close. */
  read(scanner: FrameScanner): Published | CloseReason {
    const head = headOf(scanner);
    if (head === null) return 'malformed';
    const { buffer, bodyStart, end, flags } = scanner;
    const rest = this.#properties(buffer, head.restStart, end);
    if (typeof rest === 'number') return closeReasonOf(rest);
    const { properties, payloadStart } = rest;
    const topic = this.#topic(buffer, head, properties.topicAlias);
    if (typeof topic !== 'string') return topic.fault;
    const { grants } = this.#parts.principal;
    const { plain: qosMax, retained } = grants.topicRights(topic);
    const isRetained = (flags & 1) !== 0;
    if (qosMax >= 0 && head.topicEnd > head.topicStart) {
      this.#topics.add({ name: topic, qosMax, grants }, buffer, bodyStart, head.topicEnd);
    }
    const publication: Publication = {
      topic,
      payload: buffer.subarray(payloadStart, end),
      qos: head.qos,
      retain: isRetained,
      properties: storedProperties(properties.kept, properties.messageExpiry),
      acceptedAt: this.#parts.clock.now(),
      origin: '',
    };
    const isAllowed = head.qos <= (isRetained ? retained : qosMax);
    return { publication, packetId: head.packetId, isAllowed };
  }

  #properties(
    buffer: Buffer,
    at: number,
    end: number,
  ): { properties: PublishProperties; payloadStart: number } | ReasonCode {
    if (this.#form === 4) return { properties: noProperties, payloadStart: at };
    const length = readVariable(buffer, at, end);
    if (length < 0) return reasonCodes.malformedPacket;
    const start = at + variableBytes(length);
    const payloadStart = start + length;
    if (payloadStart > end) return reasonCodes.malformedPacket;
    const properties = parsePublishProperties(buffer, start, payloadStart);
    if (typeof properties === 'number') return properties;
    // [MQTT-3.3.4-6] these only go from the server to the client.
    if (properties.subscriptionIdentifierPresent) return reasonCodes.protocolError;
    if (properties.topicAlias > this.#aliasesMax) return reasonCodes.topicAliasInvalid;
    return { properties, payloadStart };
  }

  #topic(buffer: Buffer, head: Head, alias: number): string | { readonly fault: CloseReason } {
    const { topicStart, topicEnd } = head;
    if (topicStart === topicEnd && alias > 0) {
      const topic = this.#aliases?.get(alias);
      // [MQTT-3.3.2-7] an alias that stands for nothing yet
      return topic ?? { fault: 'protocol-error' };
    }
    const bytes = buffer.subarray(topicStart, topicEnd);
    // MQTT 5 [MQTT-1.5.4-1], [MQTT-1.5.4-2]
    if (!isUtf8(bytes) || bytes.includes(0)) return this.#topicFault('malformed');
    const topic = bytes.toString('utf8');
    if (topicNameFault(topic) !== null) {
      // MQTT 5 section 3.3.2.1 has a reason of its own for an empty name.
      return this.#topicFault(topic === '' ? 'protocol-error' : 'topic-name-invalid');
    }
    const past = topicBoundPast(topic, this.#parts.bounds);
    if (past !== null) {
      this.#parts.onLimit(past);
      return this.#topicFault('topic-name-invalid');
    }
    if (alias > 0) {
      this.#aliases ??= new Map();
      this.#aliases.set(alias, topic);
    }
    return topic;
  }

  /** Before MQTT 5 it is the packet that is wrong, whatever is wrong with the topic. */
  #topicFault(fault: CloseReason): { readonly fault: CloseReason } {
    this.#parts.ledger.refused('topic-invalid');
    return { fault: this.#form === 4 ? 'malformed' : fault };
  }
}

function headOf({ buffer, bodyStart, end, flags }: FrameScanner): Head | null {
  const qos = (flags >> 1) & 3;
  // [MQTT-3.3.1-4], [MQTT-3.3.1-2]
  if (qos === 3 || (qos === 0 && (flags & 8) !== 0) || bodyStart + 2 > end) return null;
  const topicStart = bodyStart + 2;
  const topicEnd = topicStart + buffer.readUInt16BE(bodyStart);
  const restStart = topicEnd + (qos > 0 ? 2 : 0);
  if (restStart > end) return null;
  const packetId = qos > 0 ? buffer.readUInt16BE(topicEnd) : 0;
  if (qos > 0 && packetId === 0) return null; // [MQTT-2.3.1-1]
  return { qos: qos as Qos, packetId, topicStart, topicEnd, restStart };
}

function closeReasonOf(code: ReasonCode): CloseReason {
  if (code === reasonCodes.topicAliasInvalid) return 'topic-alias-invalid';
  return code === reasonCodes.protocolError ? 'protocol-error' : 'malformed';
}
