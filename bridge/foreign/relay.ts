/**
 * Hands the message flow from one connection to the other, under the packet identifiers that each
 * side gave: an acknowledgement goes back only when the other side has acknowledged. So nothing is
 * kept here, and what a session is owed survives here as it does at the two brokers.
 * Source: MQTT 3.1.1 and MQTT 5, section 4.3.
 */
import { hopsMax } from '../../base/limits.ts';
import type { Counter } from '../../base/metrics.ts';
import type { ForeignCounters } from './foreign-counters.ts';
import {
  type Ack,
  type Publish,
  packetTypes,
  readAck,
  readPublish,
  type Version,
  writeAck,
  writePublish,
} from './frames.ts';
import { hopsOf, withNextHop } from './hops.ts';
import type { TopicMap } from './topic-map.ts';

/** A connection that frames are sent on; false when it is full. */
export interface Outlet {
  send(frame: Buffer): boolean;
}

export interface RelayOptions {
  readonly topics: TopicMap;
  readonly version: Version;
  readonly takesRetain: boolean;
  /** Bytes of the largest packet that this edge takes. */
  readonly localPacketBytesMax: number;
}

/** The session at this edge speaks MQTT 5. */
const localVersion: Version = 5;
/** From here up reason codes are failures. */
const failure = 0x80;
const notAuthorized = 0x87;

export class Relay {
  readonly #local: Outlet;
  readonly #remote: Outlet;
  readonly #options: RelayOptions;
  readonly #counters: ForeignCounters;

  constructor(
    ends: { readonly local: Outlet; readonly remote: Outlet },
    options: RelayOptions,
    counters: ForeignCounters,
  ) {
    this.#local = ends.local;
    this.#remote = ends.remote;
    this.#options = options;
    this.#counters = counters;
  }

  /** From this edge. False when the other broker should have time. */
  outward(frame: Buffer): boolean {
    const { version } = this.#options;
    if (frame[0] === undefined || frame[0] >> 4 !== packetTypes.publish) {
      const ack = readAck(frame);
      this.#count(ack, this.#counters.received);
      return this.#remote.send(writeAck(ack, version));
    }
    const publish = readPublish(frame, localVersion);
    const outgoing = this.#outgoing(publish);
    if (outgoing === null) return this.#refuse(this.#local, publish, localVersion);
    if (outgoing.qos === 0) this.#counters.sent.add();
    return this.#remote.send(writePublish(outgoing, version));
  }

  /** From the other broker. False when this edge should have time. */
  inward(frame: Buffer): boolean {
    const { version } = this.#options;
    if (frame[0] === undefined || frame[0] >> 4 !== packetTypes.publish) {
      const ack = readAck(frame);
      this.#count(ack, this.#counters.sent);
      return this.#local.send(writeAck(ack, localVersion));
    }
    const publish = readPublish(frame, version);
    const topic = this.#options.topics.inward(publish.topic);
    if (topic === null) {
      this.#counters.dropped('unmapped');
      return this.#refuse(this.#remote, publish, version);
    }
    const incoming = writePublish({ ...publish, topic }, localVersion);
    if (incoming.length > this.#options.localPacketBytesMax) {
      this.#counters.dropped('too-large');
      return this.#refuse(this.#remote, publish, version);
    }
    if (publish.qos === 0) this.#counters.received.add();
    return this.#local.send(incoming);
  }

  /** Null for what does not go. */
  #outgoing(publish: Publish): Publish | null {
    const { topics, version, takesRetain } = this.#options;
    const topic = topics.outward(publish.topic);
    if (topic === null) {
      this.#counters.dropped('unmapped');
      return null;
    }
    if (hopsOf(publish.properties) >= hopsMax) {
      this.#counters.dropped('hop-limit');
      return null;
    }
    const properties = version === 5 ? withNextHop(publish.properties) : publish.properties;
    const retain = publish.retain && takesRetain;
    return { ...publish, topic, properties, retain };
  }

  /** Tells whoever sent it that it goes no further. In MQTT 3.1.1 that can't be said: there it is
   * taken, and the rest of a handshake of QoS 2 goes its way. */
  #refuse(to: Outlet, { qos, packetId }: Publish, version: Version): boolean {
    if (qos === 0) return true;
    const type = qos === 1 ? packetTypes.puback : packetTypes.pubrec;
    return to.send(writeAck({ type, packetId, reasonCode: notAuthorized }, version));
  }

  /** Whoever it was sent to has it, or refused it. */
  #count({ type, reasonCode }: Ack, taken: Counter): void {
    const isEnd = type === packetTypes.puback || type === packetTypes.pubcomp;
    if (reasonCode < failure) {
      if (isEnd) taken.add();
    } else if (type === packetTypes.puback || type === packetTypes.pubrec) {
      this.#counters.dropped('refused');
    }
  }
}
