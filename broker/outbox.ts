/**
 * Deliveries to one session: the queue of what waits, the window of what is in flight, and the
 * acknowledgements that move it on. Bounded by count and bytes; what does not fit is refused and
 * counted, and nobody waits for a slow reader.
 *
 * A kept session refers to messages by their sequence in the log, so that a message is on disk once
 * however many sessions wait for it; its payload is read back when its turn comes. For QoS 2 to a
 * kept session the packet identifier is durable before PUBLISH leaves, and PUBREC is before PUBREL,
 * so that a crash neither loses nor doubles it.
 * Source: MQTT 3.1.1 sections 4.3, 4.4 and 4.6; MQTT 5 section 4.9.
 */
import type { Limits } from '../base/config.ts';
import type { Qos } from '../base/publication.ts';
import type { Run } from '../proto/run.ts';
import { AtMostOnce } from './at-most-once.ts';
import { sendAcks } from './connection/acks.ts';
import { ackHeads } from './connection/frames.ts';
import {
  type Delivery,
  type DeliveryOwner,
  deliveriesOf,
  detached,
  type FrameSink,
  type OutboxParts,
  referenceTo,
} from './delivery.ts';
import { DeliveryBooks, type DeliverySums } from './delivery-books.ts';
import { DeliveryQueue } from './delivery-queue.ts';
import { type Inflight, InflightWindow } from './inflight-window.ts';
import { OutboxSender } from './outbox-sender.ts';
import { figuresOf, type OutboxFigures, RunQueue } from './run-queue.ts';

export class Outbox {
  readonly #parts: OutboxParts;
  readonly #limits: Limits;
  readonly #queue: DeliveryQueue;
  /** Behind the queue: runs that the window has no room for. */
  readonly #runs: RunQueue;
  readonly #inflight = new InflightWindow();
  readonly #books: DeliveryBooks;
  readonly #sender: OutboxSender;
  readonly #atMostOnce: AtMostOnce;
  /** Who waits for room to offer more. */
  #roomWaiters: (() => void)[] = [];

  constructor(parts: OutboxParts, limits: Limits) {
    this.#parts = parts;
    this.#books = new DeliveryBooks(parts);
    this.#limits = limits;
    this.#queue = new DeliveryQueue(limits, parts);
    const state = { queue: this.#queue, inflight: this.#inflight, books: this.#books };
    this.#sender = new OutboxSender(parts, limits, {
      ...state,
      onSent: () => {
        this.#runs.pump();
        this.#tellRoom();
      },
    });
    this.#atMostOnce = new AtMostOnce(limits, { sender: this.#sender, books: this.#books });
    const { journal } = parts;
    this.#runs = new RunQueue(limits, { journal, sender: this.#sender, ...state });
  }

  /** What became of its deliveries so far. */
  get sums(): DeliverySums {
    return this.#books;
  }

  get queuedCount(): number {
    return this.#queue.length + this.#runs.length;
  }

  get figures(): OutboxFigures {
    return figuresOf(this.#queue, this.#runs, this.#inflight);
  }

  get isConnected(): boolean {
    return this.#sender.sink !== null;
  }

  get inflightCount(): number {
    return this.#inflight.size;
  }

  /** A handshake that an earlier run had begun. */
  restoreInflight(packetId: number, delivery: Delivery, isReleased: boolean): void {
    this.#inflight.restore(packetId, { delivery, isReleased });
    if (delivery.sequence === 0) this.#books.expect(delivery);
  }

  /** The session is connected: what was in flight goes again, in order, then the queue. */
  attach(sink: FrameSink): void {
    this.#sender.attach(sink);
  }

  detach(): void {
    this.#sender.detach();
    if (this.#parts.journal === null) return;
    this.#inflight.suspend();
    this.#takeRunsApart();
  }

  /** Whether more would only queue up: who has many to offer waits for `room`. */
  get isCrowded(): boolean {
    const { sink } = this.#sender;
    return (
      sink !== null &&
      (this.queuedCount > this.#sender.windowSize ||
        sink.backlogBytes > this.#limits.output_bytes / 2)
    );
  }

  /** Whether it can take from others what they don't get done. Well below being crowded, so that
   * nothing goes to and fro. */
  get hasRoomToSpare(): boolean {
    return this.isConnected && !this.isCrowded && this.queuedCount * 2 <= this.#sender.windowSize;
  }

  /** Rights have changed: of what was meant for the session before, only these topics may reach it. */
  restrict(receives: (topic: string) => boolean): void {
    if (this.#sender.isClear && this.queuedCount + this.#inflight.size === 0) return;
    this.#sender.restrict(receives);
    this.#takeRunsApart();
    this.#queue.removeTopics(
      (topic) => !receives(topic),
      (delivery) => this.#books.withhold(delivery),
    );
    this.pump();
  }

  /** Resolves when something was sent and it is not crowded (any more), also because the connection
   * is gone. */
  room(): Promise<void> {
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  /** Resolves when all retained messages that were given to it are dealt with. */
  unloggedSettled(): Promise<void> {
    return this.#books.unloggedSettled();
  }

  deliver(delivery: Delivery): void {
    if (delivery.qos === 0) {
      this.#atMostOnce.deliver(delivery);
      return;
    }
    if (this.#runs.length > 0) {
      if (this.#runs.follow(delivery)) return;
      this.#takeRunsApart();
    }
    this.#enqueue(delivery);
  }

  #enqueue(delivery: Delivery): void {
    const journal = delivery.owner ?? this.#parts.journal;
    const isReference = !this.isConnected && delivery.sequence > 0 && journal !== null;
    const item = isReference ? referenceTo(delivery) : detached(delivery);
    if (!this.#offer(item)) {
      this.#books.dropped('queue-full');
      journal?.skipped(delivery.sequence);
      return;
    }
    this.#books.expect(item);
    this.pump();
  }

  /** What another session did not get of an owner, who counts on it already. */
  adopt(delivery: Delivery): void {
    this.#takeRunsApart();
    if (this.#offer(delivery)) this.pump();
    else this.#books.drop(delivery, 'queue-full');
  }

  /** Offers what waits here for the owner, in order, as long as it is taken; false when it was not. */
  handOver(owner: DeliveryOwner, take: (delivery: Delivery) => boolean): boolean {
    const isAll = this.#queue.handOver(owner, take);
    this.#tellRoom();
    return isAll;
  }

  /** The same for a run, at this QoS or its own if that is lower; whole where it can be, also while
   * it waits. The sequence is that of the first. */
  deliverRun(run: Run, sequence: number, granted: Qos): void {
    const qos = Math.min(granted, run.qos) as Qos;
    if (qos > 0 ? this.#runs.offer(run, qos, sequence) : this.#atMostOnce.deliverRun(run)) return;
    for (const delivery of deliveriesOf(run, sequence, qos)) this.deliver(delivery);
  }

  // These four answer false for what is out of turn (MQTT 3.1.1 sections 4.3.2 and 4.3.3).

  /** PUBACK. `pump` is to be called afterwards. */
  acknowledge(packetId: number): boolean {
    const inflight = this.#inflight.get(packetId);
    if (inflight === undefined) return true;
    if (inflight.qos !== 1) return false;
    this.#complete(packetId, inflight);
    return true;
  }

  /** PUBREC: PUBREL is owed from now on, also for identifiers that are not known any more. */
  receivedAll(packetIds: readonly number[]): boolean {
    const { journal } = this.#parts;
    const { sink } = this.#sender;
    let isNoted = false;
    for (const packetId of packetIds) {
      const inflight = this.#inflight.get(packetId);
      if (inflight?.qos === 1) return false;
      if (inflight === undefined || inflight.isReleased) continue;
      inflight.isReleased = true;
      const { delivery } = inflight;
      journal?.released(packetId, delivery?.sequence ?? 0, delivery?.owner?.name);
      isNoted = journal !== null;
    }
    if (sink === null) return true;
    if (!isNoted) sendAcks(sink, ackHeads.pubrel, packetIds);
    else {
      journal?.whenDurable(() => {
        if (this.#sender.sink === sink) sendAcks(sink, ackHeads.pubrel, packetIds);
      });
    }
    return true;
  }

  /** PUBREC with a failure, after which nothing more comes. `pump` is to be called afterwards. */
  refuse(packetId: number): boolean {
    const inflight = this.#inflight.get(packetId);
    if (inflight === undefined) return true;
    if (inflight.qos !== 2) return false;
    this.#complete(packetId, inflight);
    return true;
  }

  /** PUBCOMP, which only PUBREL asks for. `pump` is to be called afterwards. */
  complete(packetId: number): boolean {
    const inflight = this.#inflight.get(packetId);
    if (inflight?.isReleased === false) return false;
    return this.refuse(packetId);
  }

  /** Sends what the window and the socket have room for. */
  pump(): void {
    this.#sender.pump();
  }

  /** The session ends: what it still waited for is passed on or dropped, and counted. */
  abandon(): void {
    this.#sender.abandon();
    if (this.#parts.journal !== null) this.#takeRunsApart();
    this.#books.dropped('session-ended', this.#runs.clear());
    for (let item = this.#queue.take(); item !== undefined; item = this.#queue.take()) {
      this.#books.giveUp(item);
    }
    for (const [packetId, { delivery }] of this.#inflight.entries()) {
      this.#books.giveUp(delivery, packetId);
    }
    this.#inflight.clear();
  }

  /** What waits in runs goes before what has to be queued by itself. */
  #takeRunsApart(): void {
    const { journal } = this.#parts;
    for (const delivery of this.#runs.takeApart()) {
      if (journal === null) this.#enqueue(delivery);
      // Of a kept session, it is expected already.
      else this.adopt(this.isConnected ? detached(delivery) : referenceTo(delivery));
    }
  }

  #offer(item: Delivery): boolean {
    const isOldestToGo = this.#limits.queue_overflow === 'drop-oldest';
    // A large one may take the place of very many.
    while (!this.#queue.offer(item)) {
      const oldest = isOldestToGo ? this.#queue.take() : undefined;
      if (oldest === undefined) return false;
      this.#books.drop(oldest, 'queue-full');
    }
    return true;
  }

  #complete(packetId: number, inflight: Inflight): void {
    const owed = this.#inflight.owedBy(packetId);
    this.#inflight.release(packetId);
    if (owed > 0) this.#parts.journal?.settled(owed);
    this.#books.settle(packetId, inflight.delivery);
    this.#books.delivered(inflight.qos);
  }

  #tellRoom(): void {
    if (this.#roomWaiters.length === 0 || this.isCrowded) return;
    const waiters = this.#roomWaiters;
    this.#roomWaiters = [];
    for (const resolve of waiters) resolve();
  }
}
