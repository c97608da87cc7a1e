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
import type { Limits } from '../base/config.ts';
import type { DroppedReason } from '../base/ledger.ts';
import { publishFrame, pubrelFrame } from './connection/frames.ts';
import {
  type Delivery,
  detached,
  type FrameSink,
  type OutboxParts,
  referenceTo,
} from './delivery.ts';
import { DeliveryQueue } from './delivery-queue.ts';
import { type Inflight, InflightWindow } from './inflight-window.ts';

export class Outbox {
  readonly #parts: OutboxParts;
  readonly #limits: Limits;
  readonly #queue: DeliveryQueue;
  readonly #inflight = new InflightWindow();
  #sink: FrameSink | null = null;
  #isPumping = false;
  /** A connection has come and what was in flight has not been sent on it. */
  #needsResume = false;
  #isAbandoned = false;
  /** Who waits for room to offer more. */
  #roomWaiters: (() => void)[] = [];
  deliveredCount = 0;
  droppedCount = 0;

  constructor(parts: OutboxParts, limits: Limits) {
    this.#parts = parts;
    this.#limits = limits;
    this.#queue = new DeliveryQueue(limits, parts.read);
  }

  get queuedCount(): number {
    return this.#queue.length;
  }

  get inflightCount(): number {
    return this.#inflight.size;
  }

  /** A handshake that an earlier run had begun. */
  restoreInflight(packetId: number, delivery: Delivery, isReleased: boolean): void {
    this.#inflight.restore(packetId, { delivery, isReleased });
  }

  /** The session is connected: what was in flight goes again, in order, then the queue. */
  attach(sink: FrameSink): void {
    this.#sink = sink;
    this.#needsResume = true;
    this.pump();
  }

  detach(): void {
    this.#sink = null;
    this.#tellRoom();
  }

  /** Whether more would only queue up: who has many to offer waits for `room`. */
  get isCrowded(): boolean {
    const sink = this.#sink;
    return (
      sink !== null &&
      (this.#queue.length > this.#limits.inflight ||
        sink.backlogBytes > this.#limits.output_bytes / 2)
    );
  }

  /** Resolves when it is not crowded any more, also because the connection is gone. */
  room(): Promise<void> {
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  deliver(delivery: Delivery): void {
    if (delivery.qos === 0) {
      this.#deliverAtMostOnce(delivery);
      return;
    }
    const isReference =
      this.#sink === null && delivery.sequence > 0 && this.#parts.journal !== null;
    const item = isReference ? referenceTo(delivery) : detached(delivery);
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
    if (!this.#needsResume && this.#sendReady()) {
      this.#tellRoom();
      return;
    }
    this.#isPumping = true;
    this.#drive().catch((error: unknown) => {
      this.#isPumping = false;
      this.#parts.onFailure(error);
    });
  }

  /** The session ends: what it still waited for is dropped and counted. */
  abandon(): void {
    this.#isAbandoned = true;
    for (let item = this.#queue.take(); item !== undefined; item = this.#queue.take()) {
      this.#drop(item, 'session-ended');
    }
    for (const delivery of this.#inflight.deliveries()) this.#drop(delivery, 'session-ended');
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
    this.#tellRoom();
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
      this.#write(sink, delivery, { packetId: this.#inflight.launch(delivery), dup: false });
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
    const loaded = await this.#queue.takeLoaded({
      count: this.#limits.inflight - this.#inflight.size,
      bytesMax: this.#limits.output_bytes,
      onLost: (delivery) => this.#lose(delivery),
    });
    if (this.#isAbandoned) {
      for (const delivery of loaded) this.#drop(delivery, 'session-ended');
      return;
    }
    const launched = loaded.map((delivery) => {
      const packetId = this.#inflight.launch(delivery);
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

  async #resume(sink: FrameSink): Promise<void> {
    this.#needsResume = false;
    if (this.#inflight.size === 0) return;
    try {
      await this.#resend(sink);
    } catch (error) {
      this.#needsResume = true;
      throw error;
    }
  }

  /** Sends again, in order, what an earlier connection left in flight. */
  async #resend(sink: FrameSink): Promise<void> {
    await this.#parts.journal?.commit();
    for (const [packetId, inflight] of this.#inflight.entries()) {
      const loaded = inflight.isReleased ? null : await this.#queue.load(inflight.delivery);
      if (this.#sink !== sink) return;
      // A late acknowledgement may have come meanwhile.
      if (this.#inflight.get(packetId) !== inflight) continue;
      if (inflight.isReleased) sink.send(pubrelFrame(packetId));
      else if (loaded === null) this.#lose(inflight.delivery, packetId);
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
    this.#inflight.release(packetId);
    this.#parts.journal?.settled(packetId, delivery);
  }

  #drop(delivery: Delivery, reason: DroppedReason, packetId = 0): void {
    this.droppedCount++;
    this.#parts.ledger.dropped(reason);
    this.#parts.journal?.settled(packetId, delivery);
  }

  /** Nobody has the message any more. */
  #lose(delivery: Delivery, packetId = 0): void {
    this.#parts.onLost(delivery.sequence);
    this.#inflight.release(packetId);
    this.#drop(delivery, 'log-retention', packetId);
  }

  #tellRoom(): void {
    if (this.#roomWaiters.length === 0 || this.isCrowded) return;
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const resolve of waiters) resolve();
  }

  #write(sink: FrameSink, delivery: Delivery, at: { packetId: number; dup: boolean }): void {
    const { publication } = delivery;
    if (publication === null) return;
    const head = { qos: delivery.qos, retain: delivery.retain, ...at };
    for (const part of publishFrame(publication.topic, publication.payload, head)) sink.send(part);
  }
}
