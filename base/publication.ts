/** One message as it travels through a tier, whatever door it came by. */

export type Qos = 0 | 1 | 2;

export interface Publication {
  readonly topic: string;
  /** May be a view of a larger buffer; whoever keeps it longer than a turn copies it. */
  readonly payload: Buffer;
  readonly qos: Qos;
  readonly retain: boolean;
  /** Encoded MQTT 5 properties without their length prefix; null for none. */
  readonly properties: Buffer | null;
  /** When it was accepted, milliseconds since the epoch on this process's clock. */
  readonly acceptedAt: number;
  /** Edge or gateway where it entered; empty for this process. */
  readonly origin: string;
}

/** Bytes a publication counts for in queues: what its frame would be, near enough. */
export function publicationBytes({ topic, payload, properties }: Publication): number {
  return topic.length + payload.length + (properties?.length ?? 0) + 16;
}

/** The same publication with bytes of its own, to be kept. Every field is named: on the message path a
 * spread object was measured to cost many times more. */
export function withPayload(publication: Publication, payload: Buffer): Publication {
  return {
    topic: publication.topic,
    payload,
    qos: publication.qos,
    retain: publication.retain,
    properties: publication.properties === null ? null : Buffer.from(publication.properties),
    acceptedAt: publication.acceptedAt,
    origin: publication.origin,
  };
}

const voidTopic = '$trunkline/void';
const nothing = Buffer.alloc(0);

/** In place of a publication that must not go on but has a sequence, of which none may be missing. Nobody
 * can subscribe to its topic. */
export function voided({ acceptedAt, origin }: Publication): Publication {
  const empty = { topic: voidTopic, payload: nothing, properties: null, retain: false } as const;
  return { ...empty, qos: 1, acceptedAt, origin };
}
