/**
 * What one client publishes: checks each PUBLISH, takes it in, and acknowledges it when it is kept.
 * Also hands the client's acknowledgements to its outbox.
 * Source: MQTT 3.1.1 sections 3.3 to 3.7 and 4.3.
 */
import { isUtf8 } from 'node:buffer';
import type { Clock } from '../base/clock.ts';
import type { Ledger } from '../base/ledger.ts';
import type { Publication, Qos } from '../base/publication.ts';
import { topicNameFault } from '../base/topic.ts';
import type { Acceptance } from './acceptance.ts';
import type { Authorize, Principal } from './authorize.ts';
import type { Connection } from './connection/connection.ts';
import type { CloseReason, FlowSink } from './connection/connection-port.ts';
import type { FrameScanner } from './connection/frame-scanner.ts';
import { packetTypes, pubackFrame, pubcompFrame, pubrecFrame } from './connection/frames.ts';
import type { Uplink } from './ports.ts';
import type { Router } from './routing/router.ts';
import type { Session } from './session.ts';

/** QoS 2 identifiers that a client may leave without PUBREL. */
const unreleasedMax = 1_000;

export interface InboxParts {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly acceptance: Acceptance;
  readonly router: Router;
  readonly uplink: Uplink;
  readonly authorize: Authorize;
}

export class Inbox implements FlowSink {
  readonly #parts: InboxParts;
  readonly #session: Session;
  readonly #connection: Connection;
  readonly #principal: Principal;
  /** The last topic and that it passed, since most devices publish few. */
  #checkedTopic: string | null = null;
  /** Publications of QoS 0 that take the durable path and are not through it. */
  #slowCount = 0;

  constructor(
    parts: InboxParts,
    who: { session: Session; connection: Connection; principal: Principal },
  ) {
    this.#parts = parts;
    this.#session = who.session;
    this.#connection = who.connection;
    this.#principal = who.principal;
  }

  mustWait(scanner: FrameScanner): boolean {
    const { acceptance } = this.#parts;
    if (!acceptance.isSaturated) return false;
    // While the disk is behind, only what needs it waits, which is QoS above 0 and what is to be
    // retained: other QoS 0 and acknowledgements go on.
    if (scanner.type !== packetTypes.publish) return false;
    return (scanner.flags & 7) !== 0 || this.#slowCount > 0;
  }

  drained(): void {
    this.#session.outbox.pump();
  }

  frame(scanner: FrameScanner): CloseReason | null {
    if (scanner.type === packetTypes.publish) return this.#publish(scanner);
    const wantedFlags = scanner.type === packetTypes.pubrel ? 2 : 0;
    const isWhole = scanner.end - scanner.bodyStart === 2 && scanner.flags === wantedFlags;
    if (!isWhole) return this.#malformed();
    const packetId = scanner.buffer.readUInt16BE(scanner.bodyStart);
    const { outbox } = this.#session;
    switch (scanner.type) {
      case packetTypes.puback:
        outbox.acknowledge(packetId);
        return null;
      case packetTypes.pubrec:
        outbox.received(packetId);
        return null;
      case packetTypes.pubcomp:
        outbox.complete(packetId);
        return null;
      default:
        this.#release(packetId);
        return null;
    }
  }

  #publish(scanner: FrameScanner): CloseReason | null {
    const { buffer, bodyStart, end, flags } = scanner;
    const qos = (flags >> 1) & 3;
    if (qos === 3 || bodyStart + 2 > end) return this.#malformed(); // [MQTT-3.3.1-4]
    const topicStart = bodyStart + 2;
    const topicEnd = topicStart + buffer.readUInt16BE(bodyStart);
    const payloadStart = topicEnd + (qos > 0 ? 2 : 0);
    if (payloadStart > end) return this.#malformed();
    const packetId = qos > 0 ? buffer.readUInt16BE(topicEnd) : 0;
    if (qos > 0 && packetId === 0) return this.#malformed(); // [MQTT-2.3.1-1]
    const topicBytes = buffer.subarray(topicStart, topicEnd);
    if (!isUtf8(topicBytes)) return this.#malformed(); // [MQTT-1.5.3-1]
    const topic = topicBytes.toString('utf8');
    const refusal = this.#check(topic);
    if (refusal !== null) return refusal;
    this.#session.receivedCount++;
    const publication: Publication = {
      topic,
      payload: buffer.subarray(payloadStart, end),
      qos: qos as Qos,
      retain: (flags & 1) !== 0,
      properties: null,
      acceptedAt: this.#parts.clock.now(),
      origin: '',
    };
    return this.#take(publication, packetId);
  }

  #check(topic: string): CloseReason | null {
    if (topic === this.#checkedTopic) return null;
    if (topicNameFault(topic) !== null) {
      this.#parts.ledger.refused('topic-invalid');
      return 'malformed';
    }
    if (!this.#parts.authorize(this.#principal, 'publish', topic)) {
      this.#parts.ledger.refused('not-authorized');
      return 'not-authorized';
    }
    this.#checkedTopic = topic;
    return null;
  }

  #take(publication: Publication, packetId: number): CloseReason | null {
    switch (publication.qos) {
      case 0:
        this.#takeAtMostOnce(publication);
        return null;
      case 1:
        this.#parts.acceptance.publish(publication, fromDevice, () => {
          this.#parts.ledger.accepted[1].add();
          this.#connection.send(pubackFrame(packetId));
        });
        return null;
      case 2:
        return this.#takeExactlyOnce(publication, packetId);
    }
  }

  #takeAtMostOnce(publication: Publication): void {
    const { ledger, acceptance, router, uplink } = this.#parts;
    // Retained state must reach every edge also after an outage: it takes the durable path. What
    // comes behind it takes the same, so that it does not overtake.
    if (publication.retain || this.#slowCount > 0) {
      this.#slowCount++;
      acceptance.publish(publication, fromDevice, () => {
        this.#slowCount--;
        ledger.accepted[0].add();
      });
      return;
    }
    ledger.accepted[0].add();
    router.route(publication, 0);
    uplink.offer(publication);
  }

  #takeExactlyOnce(publication: Publication, packetId: number): CloseReason | null {
    const { received, identity } = this.#session;
    const known = received.get(packetId);
    if (known !== undefined) {
      this.#parts.ledger.repeats.add();
      // Not yet durable: the first copy's PUBREC is still to come and answers this one too.
      if (known.isDurable) this.#connection.send(pubrecFrame(packetId));
      return null;
    }
    if (received.size >= unreleasedMax) return 'receive-maximum-exceeded';
    const unreleased = { isDurable: false, isNoted: false };
    received.set(packetId, unreleased);
    const from = identity.isKept
      ? { source: device, clientId: identity.clientId, packetId }
      : fromDevice;
    this.#parts.acceptance.publish(publication, from, () => {
      unreleased.isDurable = true;
      this.#parts.ledger.accepted[2].add();
      this.#session.connection?.send(pubrecFrame(packetId));
    });
    return null;
  }

  #release(packetId: number): void {
    const { identity } = this.#session;
    const wasKnown = this.#session.release(packetId);
    const answer = () => this.#connection.send(pubcompFrame(packetId));
    // The identifier may be used again as soon as PUBCOMP is out: the release must outlive a crash.
    if (wasKnown && identity.isKept) {
      this.#parts.acceptance.release(identity.clientId, packetId, answer);
    } else {
      answer();
    }
  }

  #malformed(): CloseReason {
    this.#parts.ledger.refused('malformed');
    return 'malformed';
  }
}

const device = { kind: 'device' } as const;
const fromDevice = { source: device, clientId: '', packetId: 0 };
