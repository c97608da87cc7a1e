/**
 * The acknowledgements of one client: PUBACK, PUBREC and PUBCOMP move its outbox on, PUBREL frees
 * what it published with QoS 2. Those of one kind that follow each other are read in one go.
 * Source: MQTT 3.1.1 and MQTT 5, sections 3.4 to 3.7.
 */
import type { Acceptance } from './acceptance.ts';
import { sendAcks } from './connection/acks.ts';
import type { Connection } from './connection/connection.ts';
import type { CloseReason } from './connection/connection-port.ts';
import type { FrameScanner } from './connection/frame-scanner.ts';
import { ackFrame, ackHeads, packetTypes } from './connection/frames.ts';
import { ackTailFault } from './mqtt5/ack-tail.ts';
import { closeReasonOf } from './mqtt5/disconnect.ts';
import { reasonCodes } from './mqtt5/reason-codes.ts';
import type { Session } from './session.ts';

export class AckReader {
  readonly #acceptance: Acceptance;
  readonly #session: Session;
  readonly #connection: Connection;

  constructor(
    acceptance: Acceptance,
    { session, connection }: { session: Session; connection: Connection },
  ) {
    this.#acceptance = acceptance;
    this.#session = session;
    this.#connection = connection;
  }

  read(scanner: FrameScanner): CloseReason | null {
    const { buffer, bodyStart, end, type } = scanner;
    const wantedFlags = type === packetTypes.pubrel ? 2 : 0;
    if (this.#flagsOf(scanner) !== wantedFlags || end - bodyStart < 2) return 'malformed';
    if (end - bodyStart > 2) return this.#readLong(scanner);
    const count = scanner.extendAcks();
    const packetIds = new Array<number>(count);
    for (let i = 0, at = bodyStart; i < count; i++, at += 4) {
      packetIds[i] = ((buffer[at] as number) << 8) | (buffer[at + 1] as number);
    }
    if (packetIds.includes(0)) return 'malformed'; // [MQTT-2.3.1-1]
    return this.#take(type, packetIds);
  }

  /** In MQTT 3.1 PUBREL that is sent again has the DUP flag. */
  #flagsOf({ flags, type }: FrameScanner): number {
    const isOlder = this.#session.protocolVersion === 3;
    return isOlder && type === packetTypes.pubrel ? flags & 7 : flags;
  }

  /** MQTT 5: with a reason code, and properties perhaps. */
  #readLong({ buffer, bodyStart, end, type }: FrameScanner): CloseReason | null {
    if (this.#connection.version === 4) return 'malformed';
    const packetId = buffer.readUInt16BE(bodyStart);
    if (packetId === 0) return 'malformed';
    const fault = ackTailFault(type, { buffer, at: bodyStart + 2, end });
    if (fault !== null) return closeReasonOf(fault);
    const isRefusal = (buffer[bodyStart + 2] as number) >= reasonCodes.unspecifiedError;
    if (type !== packetTypes.pubrec || !isRefusal) return this.#take(type, [packetId]);
    // [MQTT-4.3.3-4] after a PUBREC that says no, the message is done with.
    const { outbox } = this.#session;
    const isInTurn = outbox.refuse(packetId);
    outbox.pump();
    return isInTurn ? null : 'protocol-error';
  }

  /** One that is out of turn is a protocol error; one for nothing that is known is not. */
  #take(type: number, packetIds: readonly number[]): CloseReason | null {
    const { outbox } = this.#session;
    let isInTurn = true;
    switch (type) {
      case packetTypes.puback:
        for (const packetId of packetIds) isInTurn = outbox.acknowledge(packetId) && isInTurn;
        outbox.pump();
        break;
      case packetTypes.pubrec:
        isInTurn = outbox.receivedAll(packetIds);
        break;
      case packetTypes.pubcomp:
        for (const packetId of packetIds) isInTurn = outbox.complete(packetId) && isInTurn;
        outbox.pump();
        break;
      default:
        this.#release(packetIds);
    }
    return isInTurn ? null : 'protocol-error';
  }

  #release(packetIds: readonly number[]): void {
    const { identity } = this.#session;
    const released: number[] = [];
    for (const packetId of packetIds) {
      const wasKnown = this.#session.release(packetId);
      if (wasKnown && identity.isKept) this.#releaseKept(packetId);
      // The PUBCOMP that is still to come answers this one too.
      else if (this.#session.releasing.has(packetId)) continue;
      else if (wasKnown || this.#connection.version === 4) released.push(packetId);
      else this.#connection.send(ackFrame(ackHeads.pubcomp, packetId, notFound));
    }
    if (released.length > 0) sendAcks(this.#connection, ackHeads.pubcomp, released);
  }

  /** The identifier may be used again as soon as PUBCOMP is out: the release must outlive a crash. */
  #releaseKept(packetId: number): void {
    const session = this.#session;
    session.releasing.add(packetId);
    this.#acceptance.release(session.clientId, packetId, () => {
      session.releasing.delete(packetId);
      session.connection?.send(ackFrame(ackHeads.pubcomp, packetId));
    });
  }
}

const notFound = reasonCodes.packetIdentifierNotFound;
