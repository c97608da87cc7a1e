/**
 * One device behind a gateway: its subscriptions, what waits for it, and the window of deliveries
 * that it has not acknowledged. A device that does not acknowledge fills its own queue only.
 */
import type { Ledger } from '../../base/ledger.ts';
import type { Publication, Qos } from '../../base/publication.ts';
import type { DeviceDelivery } from '../../proto/gen/trunkline/v1/gateway.ts';
import {
  type Session,
  SessionState,
  type Subscription,
} from '../../proto/gen/trunkline/v1/session.ts';
import type { Fanout, FanoutAttachment, FanoutTarget } from '../fanout/target.ts';
import { DeliveryQueue } from './delivery-queue.ts';
import type { Holder } from './gateway-rights.ts';
import { SubscriptionSet, subscriptionFault, subscriptionsMax } from './subscription-set.ts';

/** MQTT 3.1.1 section 3.9.3. */
const refusedCode = 128;

/** As for sessions of the broker: see `limits` in the configuration. */
const queueMax = { countMax: 10_000, bytesMax: 16 * 1024 * 1024 };

/** `session.proto` shows so many filters. */
const filtersShown = 100;

export interface DeviceParts {
  readonly fanout: Fanout;
  readonly ledger: Ledger;
  /** Something may wait that may go; called often, must be cheap. */
  readonly onReady: (device: GatewayDevice) => void;
  /** A delivery was dropped because too much waits. */
  readonly onDropped: (device: GatewayDevice) => void;
  /** What operators see of the device changed. */
  readonly onChanged: (device: GatewayDevice) => void;
}

export interface DeviceOptions {
  readonly clientId: string;
  readonly gatewayId: string;
  readonly coreId: string;
  readonly remoteAddress: string;
  readonly will: Publication | null;
  readonly holder: Holder;
  readonly inflightMax: number;
  readonly connectedAtMs: number;
}

interface Delivered {
  readonly deliveryId: number;
  /** Publications of QoS 1 and 2 inside. */
  readonly qos1: number;
  readonly qos2: number;
}

export class GatewayDevice implements FanoutTarget {
  readonly id: string;
  readonly clientId: string;
  readonly will: Publication | null;
  readonly holder: Holder;
  readonly #parts: DeviceParts;
  readonly #options: DeviceOptions;
  readonly #attachment: FanoutAttachment;
  readonly #subscriptions = new SubscriptionSet();
  readonly #queue = new DeliveryQueue(queueMax);
  #inflight: Delivered[] = [];
  #inflightCount = 0;
  #deliveryId = 0;
  #received = 0;
  #delivered = 0;
  #dropped = 0;
  #isDetached = false;

  constructor(parts: DeviceParts, options: DeviceOptions) {
    this.id = `gateway:${options.gatewayId}/${options.clientId}`;
    this.clientId = options.clientId;
    this.will = options.will;
    this.holder = options.holder;
    this.#parts = parts;
    this.#options = options;
    this.#attachment = parts.fanout.attach(this);
  }

  get droppedCount(): number {
    return this.#dropped;
  }

  /** One return code each: the granted QoS or 128. Retained messages follow by themselves. */
  subscribe(subscriptions: readonly Subscription[]): number[] {
    const codes = subscriptions.map((subscription) => this.#subscribe(subscription));
    this.#parts.onReady(this);
    return codes;
  }

  unsubscribe(filters: readonly string[]): void {
    for (const filter of filters) {
      if (this.#subscriptions.delete(filter)) this.#attachment.unwant(filter);
    }
    this.#parts.onChanged(this);
  }

  /** The rules are others: ends what they do not grant; answers how many subscriptions that were. */
  recheck(): number {
    this.holder.renew();
    const { grants } = this.holder;
    const gone = [];
    for (const [filter, qos] of [...this.#subscriptions.entries()]) {
      const decision = grants.subscribe(filter, qos);
      if (!decision.isAllowed) gone.push(filter);
      else if (decision.qos < qos) this.#subscriptions.set(filter, decision.qos);
    }
    if (gone.length > 0) this.unsubscribe(gone);
    const removed = this.#queue.removeTopics((topic) => !grants.receives(topic));
    this.#dropped += removed;
    if (removed > 0) this.#parts.ledger.dropped('not-authorized', removed);
    return gone.length;
  }

  deliver(publications: readonly Publication[]): void {
    if (this.#isDetached) return;
    for (const publication of publications) {
      if (this.#queue.offer(publication, this.#subscriptions.qosFor(publication))) continue;
      this.#dropped++;
      this.#parts.ledger.dropped('gateway-slow');
      this.#parts.onDropped(this);
    }
    this.#parts.onReady(this);
  }

  /** The next delivery that the window allows, or null. */
  takeDelivery(): DeviceDelivery | null {
    const publications = this.#queue.take(this.#options.inflightMax - this.#inflightCount);
    if (publications.length === 0) return null;
    const counts: [number, number, number] = [0, 0, 0];
    for (const { qos } of publications) counts[qos as Qos]++;
    const [qos0, qos1, qos2] = counts;
    const deliveryId = ++this.#deliveryId;
    if (qos1 + qos2 > 0) {
      this.#inflight.push({ deliveryId, qos1, qos2 });
      this.#inflightCount += qos1 + qos2;
    }
    this.#parts.ledger.delivered[0].add(qos0);
    this.#delivered += publications.length;
    this.#parts.onChanged(this);
    return { clientId: this.clientId, deliveryId, publications };
  }

  /** False when that delivery was never made. */
  acknowledge(throughDeliveryId: number): boolean {
    if (throughDeliveryId > this.#deliveryId) return false;
    const [, qos1, qos2] = this.#parts.ledger.delivered;
    for (;;) {
      const first = this.#inflight[0];
      if (first === undefined || first.deliveryId > throughDeliveryId) break;
      this.#inflight.shift();
      this.#inflightCount -= first.qos1 + first.qos2;
      qos1.add(first.qos1);
      qos2.add(first.qos2);
    }
    this.#parts.onReady(this);
    return true;
  }

  /** Counts publications that the device published. */
  countReceived(count: number): void {
    this.#received += count;
    this.#parts.onChanged(this);
  }

  /** Ends delivery; what waits or is unacknowledged ends with the session, counted. */
  detach(): void {
    if (this.#isDetached) return;
    this.#isDetached = true;
    this.#attachment.detach();
    const unfinished = this.#queue.length + this.#inflightCount;
    if (unfinished > 0) this.#parts.ledger.dropped('session-ended', unfinished);
    this.#queue.clear();
    this.#inflight = [];
    this.#inflightCount = 0;
  }

  session(): Session {
    const shown = [...this.#subscriptions.entries()].slice(0, filtersShown);
    return {
      clientId: this.clientId,
      edgeId: this.#options.coreId,
      gatewayId: this.#options.gatewayId,
      state: SessionState.CONNECTED,
      protocol: 'grpc',
      listener: 'gateway',
      remoteAddress: this.#options.remoteAddress,
      username: '',
      cleanStart: true,
      keepAliveSeconds: 0,
      connectedAtMs: this.#options.connectedAtMs,
      disconnectedAtMs: 0,
      disconnectReason: '',
      subscriptions: shown.map(([filter, qos]) => ({ filter, qos })),
      subscriptionCount: this.#subscriptions.size,
      queueMessages: this.#queue.length,
      inflightMessages: this.#inflightCount,
      receivedMessages: this.#received,
      deliveredMessages: this.#delivered,
      droppedMessages: this.#dropped,
      region: '',
      sessionExpirySeconds: 0,
      willPresent: this.will !== null,
      receiveMaximum: this.#options.inflightMax,
      disconnectedBy: '',
      queueOldestAtMs: 0,
      receivedRate: 0,
      deliveredRate: 0,
      keepAliveMarginMs: 0,
      drops: this.#dropped === 0 ? [] : [{ reason: 'gateway-slow', messages: this.#dropped }],
      updatedAtMs: 0,
      authMethod: 'gateway',
      willTopic: this.will?.topic ?? '',
      willQos: this.will?.qos ?? 0,
      willRetain: this.will?.retain ?? false,
      willDelaySeconds: 0,
      maximumPacketBytes: 0,
      topicAliasMaximum: 0,
      sharedSubscriptionCount: 0,
      receivedBytes: 0,
      sentBytes: 0,
      queueBytes: 0,
      unsentBytes: 0,
      blockedMs: 0,
      unreleasedMessages: 0,
      connectionCount: 1,
      roundTripUs: 0,
      receivedByteRate: 0,
      sentByteRate: 0,
      droppedRate: 0,
    };
  }

  #subscribe({ filter, qos }: Subscription): number {
    const isNew = !this.#subscriptions.has(filter);
    const isRefused =
      qos > 2 ||
      subscriptionFault(filter) !== null ||
      (isNew && this.#subscriptions.size >= subscriptionsMax) ||
      !this.#queue.takesRetained;
    if (isRefused) return refusedCode;
    const decision = this.holder.grants.subscribe(filter, qos as Qos);
    if (!decision.isAllowed) return refusedCode;
    this.#subscriptions.set(filter, decision.qos);
    if (isNew) this.#attachment.want(filter);
    this.#queue.addRetained(this.#attachment.retained(filter), decision.qos);
    return decision.qos;
  }
}
