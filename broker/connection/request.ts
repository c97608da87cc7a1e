/**
 * A SUBSCRIBE or UNSUBSCRIBE that is being answered: what each filter asks for, and the reason code
 * that it gets. Filters that can't be granted whatever the rights are refused here, so that Aedes
 * sees only the others.
 */
import type { Qos } from '../../base/publication.ts';
import { parseShare, topicFilterFault } from '../../base/topic.ts';
import { variableBytes, writeVariable } from '../../proto/variable-byte-integer.ts';
import { reasonCodes } from '../mqtt5/reason-codes.ts';

/** A filter of a SUBSCRIBE. MQTT 3.1.1 asks for QoS alone; the rest has its default there. */
export interface RequestedFilter {
  readonly filter: string;
  readonly qos: Qos;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** Retained messages are sent: 0 always, 1 for a new subscription, 2 never. */
  readonly retainHandling: 0 | 1 | 2;
  /** Subscription identifier; 0 for none. */
  readonly identifier: number;
}

export interface SubscribeRequest {
  readonly packetId: number;
  readonly filters: readonly RequestedFilter[];
}

export interface UnsubscribeRequest {
  readonly packetId: number;
  readonly filters: readonly string[];
}

export class PendingSubscribe {
  readonly packetId: number;
  readonly #requested: readonly RequestedFilter[];
  /** By filter; one that is named twice counts as it stands last [MQTT-3.8.4-3]. */
  readonly #last = new Map<string, RequestedFilter>();
  /** Where it is not the QoS that was asked for. */
  readonly #answers = new Map<string, number>();

  constructor({ packetId, filters }: SubscribeRequest) {
    this.packetId = packetId;
    this.#requested = filters;
    for (const one of filters) {
      if (isFilterSound(one.filter)) this.#last.set(one.filter, one);
      else this.#answers.set(one.filter, reasonCodes.topicFilterInvalid);
    }
  }

  /** What is asked for a filter that is sound. */
  of(filter: string): RequestedFilter | undefined {
    return this.#last.get(filter);
  }

  /** The reason code for it: a lower QoS, or why it is refused. */
  answer(filter: string, reasonCode: number): void {
    this.#answers.set(filter, reasonCode);
  }

  /** The MQTT 3.1.1 SUBSCRIBE with the sound filters; null when there is none. */
  frame311(): Buffer | null {
    const parts = [...this.#last.values()].map(({ filter, qos }) => [text(filter), [qos]]);
    return parts.length === 0 ? null : frame(0x82, this.packetId, parts.flat());
  }

  /** The reason code of each filter, in the order in which they were named. */
  codes(): number[] {
    return this.#requested.map(({ filter, qos }) => this.#answers.get(filter) ?? qos);
  }
}

export class PendingUnsubscribe {
  readonly packetId: number;
  readonly #codes: readonly number[];
  readonly #sound: readonly string[];

  /** `has` tells whether the session has the subscription now. */
  constructor({ packetId, filters }: UnsubscribeRequest, has: (filter: string) => boolean) {
    this.packetId = packetId;
    this.#sound = [...new Set(filters.filter(isFilterSound))];
    const seen = new Set<string>();
    this.#codes = filters.map((filter) => {
      if (!isFilterSound(filter)) return reasonCodes.topicFilterInvalid;
      const isThere = has(filter) && !seen.has(filter);
      seen.add(filter);
      return isThere ? reasonCodes.success : reasonCodes.noSubscriptionExisted;
    });
  }

  /** The MQTT 3.1.1 UNSUBSCRIBE with the sound filters; null when there is none. */
  frame311(): Buffer | null {
    return this.#sound.length === 0 ? null : frame(0xa2, this.packetId, this.#sound.map(text));
  }

  codes(): readonly number[] {
    return this.#codes;
  }
}

function isFilterSound(filter: string): boolean {
  if (topicFilterFault(filter) !== null) return false;
  return typeof parseShare(filter) !== 'string';
}

function text(value: string): Buffer {
  const bytes = Buffer.allocUnsafe(2 + Buffer.byteLength(value));
  bytes.write(value, bytes.writeUInt16BE(bytes.length - 2, 0));
  return bytes;
}

function frame(first: number, packetId: number, parts: readonly (Buffer | number[])[]): Buffer {
  const body = Buffer.concat([
    Buffer.from([packetId >> 8, packetId & 0xff]),
    ...parts.map((part) => (Buffer.isBuffer(part) ? part : Buffer.from(part))),
  ]);
  const head = Buffer.allocUnsafe(1 + variableBytes(body.length));
  head[0] = first;
  writeVariable(head, 1, body.length);
  return Buffer.concat([head, body]);
}
