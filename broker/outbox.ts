/**
 * Deliveries to one session: the queue of what waits, the window of what is in flight, and the
 * acknowledgements that move it on. Bounded by count and bytes; what does not fit is refused and
 * counted, and nobody waits for a slow reader.
 *
 * A kept session refers to messages by their sequence in the log, so that a message is on disk once
 * however many sessions wait for it; its payload is read back when its turn comes. For QoS 2 to a
 * kept session the packet identifier is durable before PUBLISH leaves, and PUBREC is before PUBREL,
 * so that a crash neither loses nor doubles it.
 * Source: MQTT 3.1.1 sections 4.3, 4.4 and 4.6.
 */
import { BoundedQueue } from '../base/bounded-queue.ts';
import type { Limits } from '../base/config.ts';
import { publicationBytes } from '../base/publication.ts';
import { publishFrame, pubrelFrame } from './connection/frames.ts';
import { type Delivery, detached, type FrameSink, type OutboxParts } from './delivery.ts';
import { PacketIds } from './packet-ids.ts';

/** Bytes of a reference without payload, for the queue's bound. */
const referenceBytes = 32;

interface Inflight {
  readonly delivery: Delivery;
  isReleased: boolean;
}

export class Outbox {
  readonly #parts: OutboxParts;
  readonly #limits: Limits;
  readonly #queue: BoundedQueue<Delivery>;
  readonly #inflight = new Map<number, Inflight>();
  readonly #ids = new PacketIds();
  #sink: FrameSink | null = null;
  #isPumping = false;
  /** A connection has come and what was in flight has not been sent on it. */
  #needsResume = false;
  deliveredCount = 0;
  droppedCount = 0;

  constructor(parts: OutboxParts, limits: Limits) {
    this.#parts = parts;
    this.#limits = limits;
    this.#queue = new BoundedQueue({
      countMax: limits.queue_messages,
      bytesMax: limits.queue_bytes,
      bytesOf: (delivery) =>
        delivery.publication === null ? referenceBytes : publicationBytes(delivery.publication),
    });
  }

  get queuedCount(): number {
    return this.#queue.length;
  }

  get inflightCount(): number {
    return this.#inflight.size;
  }

  /** A handshake that an earlier run had begun. */
  restoreInflight(packetId: number, delivery: Delivery, isReleased: boolean): void {
    this.#ids.claim(packetId);
    this.#inflight.set(packetId, { delivery, isReleased });
  }

  /** The session is connected: what was in flight goes again, in order, then the queue. */
  attach(sink: FrameSink): void {
    this.#sink = sink;
    this.#needsResume = true;
    this.pump();
  }

  detach(): void {
    this.#sink = null;
  }

  deliver(delivery: Delivery): void {
    if (delivery.qos === 0) {
      this.#deliverAtMostOnce(delivery);
      return;
    }
    const isReference =
      this.#sink === null && delivery.sequence > 0 && this.#parts.journal !== null;
    const item = isReference ? { ...delivery, publication: null } : detached(delivery);
    if (!this.#queue.offer(item)) {
      this.droppedCount++;
      this.#parts.ledger.dropped('queue-full');
      this.#parts.journal?.skipped(delivery.sequence);
      return;
    }
    this.#parts.journal?.expect(delivery.sequence);
    this.pump();
  }

  /** PUBACK. */
  acknowledge(packetId: number): void {
    const inflight = this.#inflight.get(packetId);
    if (inflight?.delivery.qos !== 1) return;
    this.#complete(packetId, inflight);
  }

  /** PUBREC: PUBREL is owed from now on, also for an identifier that is not known any more. */
  received(packetId: number): void {
    const inflight = this.#inflight.get(packetId);
    const { journal } = this.#parts;
    if (inflight?.delivery.qos !== 2 || inflight.isReleased || journal === null) {
      if (inflight !== undefined) inflight.isReleased = true;
      this.#sink?.send(pubrelFrame(packetId));
      return;
    }
    inflight.isReleased = true;
    const sink = this.#sink;
    journal.released(packetId, inflight.delivery.sequence);
    journal.whenDurable(() => {
      if (this.#sink === sink) sink?.send(pubrelFrame(packetId));
    });
  }

  /** PUBCOMP. */
  complete(packetId: number): void {
    const inflight = this.#inflight.get(packetId);
    if (inflight?.delivery.qos !== 2) return;
    this.#complete(packetId, inflight);
  }

  /** Sends what the window and the socket have room for. */
  pump(): void {
    if (this.#isPumping || this.#sink === null) return;
    // Synchronous as long as nothing has to be read or made durable first.
    if (!this.#needsResume && this.#sendReady()) return;
    this.#isPumping = true;
    this.#drive().catch((error: unknown) => {
      this.#isPumping = false;
      this.#parts.onFailure(error);
    });
  }

  /** The session ends: what it still waited for is dropped and counted. */
  abandon(): void {
    for (let item = this.#queue.take(); item !== undefined; item = this.#queue.take()) {
      this.#drop(item);
    }
    for (const { delivery } of this.#inflight.values()) this.#drop(delivery);
    this.#inflight.clear();
  }

  #deliverAtMostOnce(delivery: Delivery): void {
    const { ledger } = this.#parts;
    const sink = this.#sink;
    if (sink === null) {
      this.droppedCount++;
      ledger.dropped('offline-qos0');
      return;
    }
    if (sink.backlogBytes > this.#limits.output_bytes) {
      this.droppedCount++;
      ledger.dropped('slow-reader');
      return;
    }
    this.#write(sink, delivery, { packetId: 0, dup: false });
    this.deliveredCount++;
    ledger.delivered[0].add();
  }

  /** One at a time for the session, whatever connections come and go meanwhile. */
  async #drive(): Promise<void> {
    for (;;) {
      const sink = this.#sink;
      if (sink === null || (!this.#needsResume && this.#sendReady())) break;
      if (this.#needsResume) await this.#resume(sink);
      else await this.#sendWindow(sink);
    }
    this.#isPumping = false;
  }

  /** Sends while it can be done at once; false when something has to be awaited first. */
  #sendReady(): boolean {
    for (;;) {
      const sink = this.#sink;
      const delivery = this.#queue.peek();
      if (delivery === undefined || sink === null || !this.#hasRoom(sink)) return true;
      const needsCommit = delivery.qos === 2 && this.#parts.journal !== null;
      if (delivery.publication === null || needsCommit) return false;
      this.#queue.take();
      this.#write(sink, delivery, { packetId: this.#launch(delivery), dup: false });
    }
  }

  #hasRoom(sink: FrameSink): boolean {
    return (
      this.#inflight.size < this.#limits.inflight && sink.backlogBytes <= this.#limits.output_bytes
    );
  }

  /** A window's worth: read what has to be read, make identifiers durable, then write in order. */
  async #sendWindow(sink: FrameSink): Promise<void> {
    const { journal } = this.#parts;
    const loaded = await this.#loadWindow();
    const launched = loaded.map((delivery) => {
      const packetId = this.#launch(delivery);
      if (delivery.qos === 2) journal?.launched(packetId, delivery.sequence);
      return { packetId, delivery };
    });
    if (loaded.some((delivery) => delivery.qos === 2)) await journal?.commit();
    // After a reconnect in between they go out with what else is in flight.
    if (this.#sink !== sink || this.#needsResume) return;
    for (const { packetId, delivery } of launched) {
      if (this.#inflight.has(packetId)) this.#write(sink, delivery, { packetId, dup: false });
    }
  }

  async #loadWindow(): Promise<Delivery[]> {
    const room = this.#limits.inflight - this.#inflight.size;
    const window: Delivery[] = [];
    while (window.length < room) {
      const delivery = this.#queue.peek();
      if (delivery === undefined) break;
      const loaded = await this.#load(delivery);
      // Taken only now: a failed read leaves it where it was.
      if (this.#queue.peek() !== delivery) break;
      this.#queue.take();
      if (loaded === null) this.#drop(delivery);
      else window.push(loaded);
    }
    return window;
  }

  async #load(delivery: Delivery): Promise<Delivery | null> {
    if (delivery.publication !== null) return delivery;
    const publication = await this.#parts.read(delivery.sequence);
    return publication === null ? null : { ...delivery, publication };
  }

  #launch(delivery: Delivery): number {
    const packetId = this.#ids.obtain();
    this.#inflight.set(packetId, { delivery, isReleased: false });
    return packetId;
  }

  /** Sends again, in order, what an earlier connection left in flight. */
  async #resume(sink: FrameSink): Promise<void> {
    this.#needsResume = false;
    if (this.#inflight.size === 0) return;
    await this.#parts.journal?.commit();
    for (const [packetId, inflight] of [...this.#inflight]) {
      const loaded = inflight.isReleased ? null : await this.#load(inflight.delivery);
      if (this.#sink !== sink) return;
      if (inflight.isReleased) sink.send(pubrelFrame(packetId));
      else if (loaded === null) this.#forget(packetId, inflight.delivery);
      // [MQTT-3.3.1-1] a PUBLISH that may have been sent before carries DUP.
      else this.#write(sink, loaded, { packetId, dup: true });
    }
  }

  #complete(packetId: number, inflight: Inflight): void {
    this.#forget(packetId, inflight.delivery);
    this.deliveredCount++;
    this.#parts.ledger.delivered[inflight.delivery.qos].add();
    this.pump();
  }

  #forget(packetId: number, delivery: Delivery): void {
    this.#inflight.delete(packetId);
    this.#ids.release(packetId);
    this.#parts.journal?.settled(packetId, delivery);
  }

  #drop(delivery: Delivery): void {
    this.droppedCount++;
    this.#parts.ledger.dropped('session-ended');
    this.#parts.journal?.settled(0, delivery);
  }

  #write(sink: FrameSink, delivery: Delivery, at: { packetId: number; dup: boolean }): void {
    const { publication } = delivery;
    if (publication === null) return;
    const head = { qos: delivery.qos, retain: delivery.retain, ...at };
    for (const part of publishFrame(publication.topic, publication.payload, head)) sink.send(part);
  }
}
