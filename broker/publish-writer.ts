/**
 * Writes PUBLISH to one client, in its protocol version: subscription identifiers, what is left of
 * the message expiry, topic aliases, and never a packet larger than the client takes.
 * Source: MQTT 5 section 3.3.
 */
import type { Clock } from '../base/clock.ts';
import type { Publication } from '../base/publication.ts';
import { publishFrame } from './connection/frames.ts';
import type { Delivery, FrameSink } from './delivery.ts';
import { remainingExpiry, storedKept, writePublishProperties } from './mqtt5/publish-properties.ts';

/** Why a message was not written; there is no use in trying again. */
export type Unwritable = 'expired' | 'packet-too-large';

const noProperties = Buffer.from([0]);

/** Shorter names are not worth the three bytes of an alias. */
const aliasedBytesMin = 4;

export class PublishWriter {
  readonly #clock: Clock;
  readonly #sink: FrameSink;
  /** Aliases that the client knows, by topic; the first topics get them. */
  readonly #aliases = new Map<string, number>();

  constructor(clock: Clock, sink: FrameSink) {
    this.#clock = clock;
    this.#sink = sink;
  }

  /** Null when it is on its way. The delivery's publication is not null. */
  write(delivery: Delivery, at: { packetId: number; dup: boolean }): Unwritable | null {
    const publication = delivery.publication as Publication;
    const { properties: stored, acceptedAt, payload, topic } = publication;
    const expiry = stored === null ? -1 : remainingExpiry(stored, acceptedAt, this.#clock.now());
    const { qos, retain, identifiers } = delivery;
    const { packetId, dup } = at;
    // What has begun is completed: the client may know the identifier, and must not take a later
    // message under it for this one. Section 3.3.2.3.3 has only what has not begun deleted.
    if (expiry === 0 && !dup) return 'expired';
    if (this.#sink.version === 4) {
      this.#send(publishFrame(topic, payload, { qos, retain, dup, packetId, properties: null }));
      return null;
    }
    const known = this.#aliases.get(topic);
    const isLong = !this.#fits(publication, identifiers.length);
    const alias = isLong ? 0 : (known ?? this.#newAlias(topic));
    const isPlain = stored === null && alias === 0 && identifiers.length === 0;
    const properties = isPlain
      ? noProperties
      : writePublishProperties({
          kept: storedKept(stored),
          messageExpiry: expiry,
          identifiers,
          topicAlias: alias,
        });
    const name = alias > 0 && known !== undefined ? '' : topic;
    const frame = publishFrame(name, payload, { qos, retain, dup, packetId, properties });
    if (isLong && this.#isTooLarge(frame)) return 'packet-too-large';
    this.#send(frame);
    return null;
  }

  /** By a careful guess; only what does not is measured. */
  #fits({ topic, payload, properties }: Publication, identifiers: number): boolean {
    const { packetBytesMax } = this.#sink.terms;
    if (packetBytesMax === 0) return true;
    const most = topic.length * 3 + payload.length + (properties?.length ?? 0) + identifiers * 5;
    return most + 32 <= packetBytesMax;
  }

  #isTooLarge(frame: readonly Buffer[]): boolean {
    return frame.reduce((sum, part) => sum + part.length, 0) > this.#sink.terms.packetBytesMax;
  }

  #newAlias(topic: string): number {
    if (this.#aliases.size >= this.#sink.terms.topicAliasMaximum) return 0;
    if (topic.length < aliasedBytesMin) return 0;
    const alias = this.#aliases.size + 1;
    this.#aliases.set(topic, alias);
    return alias;
  }

  #send(parts: readonly Buffer[]): void {
    for (const part of parts) this.#sink.send(part);
  }
}
