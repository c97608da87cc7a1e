/**
 * What one client publishes: checks each PUBLISH, takes it in, and acknowledges it when it is kept.
 * Publications of one topic that follow each other go on as a run, without being taken apart. Also
 * hands the client's acknowledgements to its outbox.
 * Source: MQTT 3.1.1 and MQTT 5, sections 3.3 to 3.7 and 4.3.
 */
import type { Publication, Qos } from '../base/publication.ts';
import { Run } from '../proto/run.ts';
import { AckReader } from './ack-reader.ts';
import type { Principal } from './authorize.ts';
import { sendAcks } from './connection/acks.ts';
import type { Connection } from './connection/connection.ts';
import type { CloseReason, FlowSink } from './connection/connection-port.ts';
import { type FrameScanner, isOverlong } from './connection/frame-scanner.ts';
import { ackFrame, ackHeads, packetTypes } from './connection/frames.ts';
import type { InboxParts } from './inbox-parts.ts';
import { type Published, PublishReader } from './publish-reader.ts';
import { ReceiveWindow } from './receive-window.ts';
import type { Session } from './session.ts';
import type { KnownTopic } from './topic-cache.ts';

export class Inbox implements FlowSink {
  readonly #parts: InboxParts;
  readonly #session: Session;
  readonly #connection: Connection;
  readonly #reader: PublishReader;
  readonly #acks: AckReader;
  /** Publications of QoS 0 that take the durable path and are not through it. */
  #slowCount = 0;
  readonly #window: ReceiveWindow;
  readonly #principal: Principal;
  #hasLogged = false;
  /** When the present frames came. */
  #now = 0;
  readonly #receivedBefore: number;

  constructor(
    parts: InboxParts,
    who: { session: Session; connection: Connection; principal: Principal },
  ) {
    this.#parts = parts;
    this.#session = who.session;
    this.#receivedBefore = who.session.receivedCount;
    this.#connection = who.connection;
    const { clock, ledger, limits } = parts;
    this.#principal = who.principal;
    this.#window = new ReceiveWindow(who.session, who.connection, limits.receive_maximum);
    const form = who.connection.version;
    this.#reader = new PublishReader(
      {
        ...{ clock, ledger, principal: who.principal, bounds: limits },
        onLimit: (limit) => parts.onLimit(limit, who.session.clientId),
      },
      { form, aliasesMax: limits.topic_aliases },
    );
    this.#acks = new AckReader(parts.acceptance, who);
  }

  get receivedCount(): number {
    return this.#session.receivedCount - this.#receivedBefore;
  }

  mustWait(scanner: FrameScanner): boolean {
    const { acceptance, isShort } = this.#parts;
    if (isShort()) return scanner.type === packetTypes.publish;
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
    if (scanner.type !== packetTypes.publish) return this.#countFault(this.#acks.read(scanner));
    this.#now = this.#parts.clock.now();
    const end = scanner.end + sliceBytes;
    let fault = this.#publish(scanner);
    // The most frequent case need not go back to the connection for each.
    while (fault === null && this.#slowCount === 0 && scanner.end < end) {
      if (!scanner.nextLike(plainAtMostOnce)) break;
      fault = this.#publish(scanner);
    }
    return fault;
  }

  #publish(scanner: FrameScanner): CloseReason | null {
    const known = this.#reader.topicOf(scanner);
    const isPlain = known !== null && this.#reader.isPlain(scanner, known);
    if (isPlain && !isOverlong(scanner.buffer, scanner.start, scanner.bodyStart)) {
      return this.#takeRun(scanner, known);
    }
    const published = this.#reader.read(scanner);
    if (typeof published === 'string') return this.#countFault(published);
    return this.#takeOne(published);
  }

  #countFault(fault: CloseReason | null): CloseReason | null {
    if (fault === 'malformed') this.#parts.ledger.refused('malformed');
    return fault;
  }

  /** As many as there are of this topic in what was received. */
  #takeRun(scanner: FrameScanner, topic: KnownTopic): CloseReason | null {
    const form = this.#connection.version;
    const count = scanner.extendRun(topic.encoded, form);
    const qos = ((scanner.flags >> 1) & 3) as Qos;
    const acceptedAt = this.#now;
    const topicBytes = topic.encoded.length - 2;
    const { buffer, start, end } = scanner;
    const run = new Run(
      { topic: topic.name, topicBytes, qos, form, count, acceptedAt },
      { buffer, start, end },
    );
    this.#session.receivedCount += count;
    switch (qos) {
      case 0:
        this.#takeRunAtMostOnce(run);
        return null;
      case 1:
        return this.#takeRunAtLeastOnce(run);
      case 2:
        return this.#takeRunExactlyOnce(run);
    }
  }

  #takeRunAtMostOnce(run: Run): void {
    const { ledger, router, uplink } = this.#parts;
    if (this.#slowCount > 0) {
      for (const publication of run.publications()) this.#takeAtMostOnce(publication);
      return;
    }
    ledger.accepted[0].add(run.count);
    if (uplink.wants(run.topic)) {
      for (const publication of run.publications()) uplink.offer(publication);
    }
    router.routeRun(run, { sequence: 0, publisher: this.#session });
  }

  #takeRunAtLeastOnce(run: Run): CloseReason | null {
    const { ledger, acceptance } = this.#parts;
    if (!this.#window.hasRoom(1, run.count)) return 'receive-maximum-exceeded';
    this.#window.took(run.count);
    const from = { clientId: this.#clientIdToNote(1), publisher: this.#session };
    acceptance.publishRun(run, from, () => {
      this.#window.acknowledged(run.count);
      ledger.accepted[1].add(run.count);
      sendAcks(this.#connection, ackHeads.puback, run.packetIds());
    });
    return null;
  }

  #takeRunExactlyOnce(run: Run): CloseReason | null {
    const { received } = this.#session;
    const packetIds = run.packetIds();
    const isNew =
      new Set(packetIds).size === run.count && !packetIds.some((id) => received.has(id));
    if (!isNew || !this.#window.hasRoom(2, run.count)) {
      return this.#takeEachExactlyOnce(run, packetIds);
    }
    const unreleased = packetIds.map((packetId) => {
      const one = { isDurable: false, isNoted: false };
      received.set(packetId, one);
      return one;
    });
    const from = { clientId: this.#clientIdToNote(2), publisher: this.#session };
    this.#parts.acceptance.publishRun(run, from, () => {
      for (const one of unreleased) one.isDurable = true;
      this.#parts.ledger.accepted[2].add(run.count);
      const { connection } = this.#session;
      if (connection !== null) sendAcks(connection, ackHeads.pubrec, packetIds);
    });
    return null;
  }

  #takeEachExactlyOnce(run: Run, packetIds: readonly number[]): CloseReason | null {
    for (const [index, publication] of run.publications().entries()) {
      const fault = this.#takeExactlyOnce(publication, packetIds[index] as number);
      if (fault !== null) return fault;
    }
    return null;
  }

  #takeOne({ publication, packetId, isAllowed }: Published): CloseReason | null {
    if (!isAllowed) return this.#refuse(publication, packetId);
    this.#session.receivedCount++;
    switch (publication.qos) {
      case 0:
        this.#takeAtMostOnce(publication);
        return null;
      case 1:
        return this.#takeAtLeastOnce(publication, packetId);
      case 2:
        return this.#takeExactlyOnce(publication, packetId);
    }
  }

  /** MQTT 5 has a reason code for it; before, there is only the end of the connection, or an
   * acknowledgement that would say it was kept. */
  #refuse({ topic, qos, retain }: Publication, packetId: number): CloseReason | null {
    this.#parts.ledger.refused('not-authorized');
    // Once a connection; the counter has the others.
    if (!this.#hasLogged) {
      this.#hasLogged = true;
      const { reason, rule } = this.#principal.grants.publish(topic, { qos, retain, will: false });
      const fields = { client_id: this.#session.clientId, topic, qos, retain, reason, rule };
      this.#parts.log.info(fields, 'publication refused, not authorized');
    }
    if (this.#connection.version === 4) return 'not-authorized';
    if (qos === 0) return null;
    const head = qos === 1 ? ackHeads.puback : ackHeads.pubrec;
    this.#connection.send(ackFrame(head, packetId, notAuthorizedCode));
    return null;
  }

  #takeAtMostOnce(publication: Publication): void {
    const { ledger, acceptance, router, uplink } = this.#parts;
    // Retained state must reach every edge also after an outage: it takes the durable path. What
    // comes behind it takes the same, so that it does not overtake.
    if (publication.retain || this.#slowCount > 0) {
      this.#slowCount++;
      acceptance.publish(publication, this.#from(0, 0), () => {
        this.#slowCount--;
        ledger.accepted[0].add();
      });
      return;
    }
    ledger.accepted[0].add();
    router.route(publication, { sequence: 0, publisher: this.#session });
    uplink.offer(publication);
  }

  #takeAtLeastOnce(publication: Publication, packetId: number): CloseReason | null {
    if (!this.#window.hasRoom(1, 1)) return 'receive-maximum-exceeded';
    this.#window.took(1);
    this.#parts.acceptance.publish(publication, this.#from(1, 0), () => {
      this.#window.acknowledged(1);
      this.#parts.ledger.accepted[1].add();
      this.#connection.send(ackFrame(ackHeads.puback, packetId));
    });
    return null;
  }

  #takeExactlyOnce(publication: Publication, packetId: number): CloseReason | null {
    const { received } = this.#session;
    const known = received.get(packetId);
    if (known !== undefined) {
      this.#window.repeated(packetId);
      this.#parts.ledger.repeats.add();
      // Not yet durable: the first copy's PUBREC is still to come and answers this one too.
      if (known.isDurable) this.#connection.send(ackFrame(ackHeads.pubrec, packetId));
      return null;
    }
    if (!this.#window.hasRoom(2, 1)) return 'receive-maximum-exceeded';
    const unreleased = { isDurable: false, isNoted: false };
    received.set(packetId, unreleased);
    this.#parts.acceptance.publish(publication, this.#from(2, packetId), () => {
      unreleased.isDurable = true;
      this.#parts.ledger.accepted[2].add();
      this.#session.connection?.send(ackFrame(ackHeads.pubrec, packetId));
    });
    return null;
  }

  #from(qos: Qos, packetId: number) {
    const clientId = this.#clientIdToNote(qos);
    const noted = clientId === '' ? 0 : packetId;
    return { source: device, clientId, packetId: noted, publisher: this.#session };
  }

  /** What the log must know of the publisher after a crash: whose packet identifiers these are, and
   * whose own messages a "no local" subscription must not get. */
  #clientIdToNote(qos: Qos): string {
    const { identity, hasNoLocal } = this.#session;
    return identity.isKept && (qos === 2 || hasNoLocal) ? identity.clientId : '';
  }
}

const device = { kind: 'device' } as const;
const notAuthorizedCode = 0x87;

/** First byte of a PUBLISH of QoS 0 that is not retained. */
const plainAtMostOnce = 0x30;

/** Bytes of such frames that are dealt with in one go. */
const sliceBytes = 8 * 1024;
