/**
 * The books of one session's deliveries: each ends delivered, or dropped for a counted reason, and
 * whoever owes it is told.
 */
import type { DroppedReason } from '../base/ledger.ts';
import type { Qos } from '../base/publication.ts';
import type { DropCount } from '../proto/gen/trunkline/v1/session.ts';
import type { Delivery, OutboxParts } from './delivery.ts';

export interface DeliverySums {
  readonly deliveredCount: number;
  readonly droppedCount: number;
  /** Of `droppedCount`, by reason. */
  drops(): DropCount[];
}

export class DeliveryBooks implements DeliverySums {
  readonly #parts: OutboxParts;
  deliveredCount = 0;
  droppedCount = 0;
  /** Made with the first drop: most sessions never have one. */
  #drops: Map<DroppedReason, number> | null = null;
  /** Retained messages on their way, which no log has. */
  #unlogged = 0;
  #unloggedWaiters: (() => void)[] = [];

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  delivered(qos: Qos, count = 1): void {
    this.deliveredCount += count;
    this.#parts.ledger.delivered[qos].add(count);
  }

  dropped(reason: DroppedReason, count = 1): void {
    if (count === 0) return;
    this.droppedCount += count;
    this.#drops ??= new Map();
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + count);
    this.#parts.ledger.dropped(reason, count);
  }

  drops(): DropCount[] {
    if (this.#drops === null) return [];
    return Array.from(this.#drops, ([reason, messages]) => ({ reason, messages }));
  }

  /** It is queued or in flight from now on. */
  expect(delivery: Delivery): void {
    if (delivery.sequence === 0) this.#unlogged++;
    else (delivery.owner ?? this.#parts.journal)?.expect(delivery.sequence);
  }

  /** Resolves when nothing is on its way that no log has. */
  unloggedSettled(): Promise<void> {
    if (this.#unlogged === 0) return Promise.resolve();
    return new Promise((resolve) => this.#unloggedWaiters.push(resolve));
  }

  /** Also tells who owes it; null for what nobody would send again. */
  drop(delivery: Delivery | null, reason: DroppedReason, packetId = 0): void {
    this.dropped(reason);
    this.settle(packetId, delivery);
  }

  /** The session ends: another may get it for who owes it, but not while QoS 2 is under way
   * [MQTT-4.8.2-5]. */
  giveUp(delivery: Delivery | null, packetId = 0): void {
    const isUnderWay = packetId > 0 && delivery?.qos === 2;
    if (!isUnderWay && delivery?.owner?.passOn(delivery) === true) return;
    this.drop(delivery, 'session-ended', packetId);
  }

  /** The client may not have it any more; of a shared subscription another may. */
  withhold(delivery: Delivery): void {
    if (delivery.owner?.passOn(delivery) !== true) this.drop(delivery, 'not-authorized');
  }

  /** QoS 2 is about to leave: written down, so that a crash does not double it. */
  launched(packetId: number, delivery: Delivery): void {
    const { journal } = this.#parts;
    if (journal !== null) journal.launched(packetId, delivery.sequence, delivery.owner?.name);
    // The session ends with its connection, and then nobody else may get it.
    else delivery.owner?.settled(delivery.sequence);
  }

  /** Nobody has the message any more. */
  lose(delivery: Delivery | null, packetId = 0): void {
    this.#parts.onLost(delivery?.sequence ?? 0);
    this.drop(delivery, 'log-retention', packetId);
  }

  settle(packetId: number, delivery: Delivery | null): void {
    if (delivery === null) return;
    const { journal } = this.#parts;
    if (packetId > 0 && delivery.qos === 2) journal?.landed(packetId);
    if (delivery.sequence === 0) this.#settleUnlogged();
    else (delivery.owner ?? journal)?.settled(delivery.sequence);
  }

  #settleUnlogged(): void {
    this.#unlogged--;
    if (this.#unlogged > 0) return;
    for (const resolve of this.#unloggedWaiters.splice(0)) resolve();
  }
}
