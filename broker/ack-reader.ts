/**
 * The acknowledgements of one client: PUBACK, PUBREC and PUBCOMP move its outbox on, PUBREL frees
 * what it published with QoS 2. Those of one kind that follow each other are read in one go.
 * Source: MQTT 3.1.1 and MQTT 5, sections 3.4 to 3.7.
 */
import type { Acceptance } from './acceptance.ts';
import { sendAcks } from './connection/acks.ts';
import type { Connection } from './connection/connection.ts';
import type { CloseReason } from './connection/connection-port.ts';
import { Fields } from './connection/fields.ts';
import type { FrameScanner } from './connection/frame-scanner.ts';
import { ackFrame, ackHeads, packetTypes } from './connection/frames.ts';
import { takeProperties } from './mqtt5/properties.ts';
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
    if (scanner.flags !== wantedFlags || end - bodyStart < 2) return 'malformed';
    if (end - bodyStart > 2) return this.#readLong(scanner);
    const count = scanner.extendAcks();
    const packetIds = new Array<number>(count);
    for (let i = 0, at = bodyStart; i < count; i++, at += 4) {
      packetIds[i] = ((buffer[at] as number) << 8) | (buffer[at + 1] as number);
    }
    if (packetIds.includes(0)) return 'malformed'; // [MQTT-2.3.1-1]
    this.#take(type, packetIds);
    return null;
  }

  /** MQTT 5: with a reason code, and properties perhaps. */
  #readLong({ buffer, bodyStart, end, type }: FrameScanner): CloseReason | null {
    if (this.#connection.version === 4) return 'malformed';
    const packetId = buffer.readUInt16BE(bodyStart);
    const reasonCode = buffer[bodyStart + 2] as number;
    if (packetId === 0 || !isTailSound(buffer, bodyStart + 3, end)) return 'malformed';
    // [MQTT-4.3.3-4] after a PUBREC that says no, the message is done with.
    const isRefused = type === packetTypes.pubrec && reasonCode >= reasonCodes.unspecifiedError;
    this.#take(isRefused ? packetTypes.pubcomp : type, [packetId]);
    return null;
  }

  #take(type: number, packetIds: readonly number[]): void {
    const { outbox } = this.#session;
    switch (type) {
      case packetTypes.puback:
        for (const packetId of packetIds) outbox.acknowledge(packetId);
        outbox.pump();
        return;
      case packetTypes.pubrec:
        outbox.receivedAll(packetIds);
        return;
      case packetTypes.pubcomp:
        for (const packetId of packetIds) outbox.complete(packetId);
        outbox.pump();
        return;
      default:
        this.#release(packetIds);
    }
  }

  #release(packetIds: readonly number[]): void {
    const { identity } = this.#session;
    const released: number[] = [];
    for (const packetId of packetIds) {
      const wasKnown = this.#session.release(packetId);
      if (wasKnown && identity.isKept) this.#releaseKept(packetId);
      else if (wasKnown || this.#connection.version === 4) released.push(packetId);
      else this.#connection.send(ackFrame(ackHeads.pubcomp, packetId, notFound));
    }
    if (released.length > 0) sendAcks(this.#connection, ackHeads.pubcomp, released);
  }

  /** The identifier may be used again as soon as PUBCOMP is out: the release must outlive a crash. */
  #releaseKept(packetId: number): void {
    this.#acceptance.release(this.#session.clientId, packetId, () =>
      this.#connection.send(ackFrame(ackHeads.pubcomp, packetId)),
    );
  }
}

const notFound = reasonCodes.packetIdentifierNotFound;

/** What follows the reason code: nothing, or properties and nothing else. */
function isTailSound(buffer: Buffer, at: number, end: number): boolean {
  if (at === end) return true;
  const fields = new Fields(buffer, at, end);
  return typeof takeProperties(fields, 'puback') !== 'number' && fields.isDone;
}
