/**
 * One Subscribe call: retained messages first, then live ones, in batches at the reader's pace. A
 * reader that falls behind is ended, so that it knows that it missed something.
 */
import { type ServerWritableStream, status } from '@grpc/grpc-js';
import type { Clock } from '../../base/clock.ts';
import { TrunklineError } from '../../base/errors.ts';
import type { Ledger } from '../../base/ledger.ts';
import type { Logger } from '../../base/log.ts';
import type { Publication, Qos } from '../../base/publication.ts';
import type { Grants } from '../../base/rights/grants.ts';
import { refusalText } from '../../base/rights/refusal-text.ts';
import type { SubscribeRequest, SubscribeResponse } from '../../proto/gen/trunkline/v1/gateway.ts';
import type { Subscription } from '../../proto/gen/trunkline/v1/session.ts';
import type { Fanout, FanoutAttachment, FanoutTarget } from '../fanout/target.ts';
import { type CallStatus, endCall } from '../grpc/status.ts';
import { DeliveryQueue } from './delivery-queue.ts';
import type { Holder } from './gateway-rights.ts';
import { PacedOutput } from './paced-output.ts';
import { SubscriptionSet, subscriptionFault, subscriptionsMax } from './subscription-set.ts';

const queueMax = { countMax: 10_000, bytesMax: 8 * 1024 * 1024 };

export type SubscribeCall = ServerWritableStream<SubscribeRequest, SubscribeResponse>;

export interface SubscriberParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly ledger: Ledger;
  readonly fanout: Fanout;
  readonly holder: Holder;
  readonly onEnded: (stream: SubscriberStream) => void;
}

export class SubscriberStream implements FanoutTarget {
  readonly id: string;
  readonly #call: SubscribeCall;
  readonly #parts: SubscriberParts;
  readonly #subscriptions = new SubscriptionSet();
  readonly #queue = new DeliveryQueue(queueMax);
  readonly #output: PacedOutput<SubscribeResponse>;
  readonly #attachment: FanoutAttachment;
  #isFlushScheduled = false;
  #isEnded = false;

  /** The subscriptions of the call's request must have been checked. */
  constructor(call: SubscribeCall, parts: SubscriberParts, options: { id: string }) {
    this.id = options.id;
    this.#call = call;
    this.#parts = parts;
    this.#output = new PacedOutput(
      { call, clock: parts.clock },
      { onDrain: () => this.#scheduleFlush(), onStall: () => this.#endSlow(0) },
    );
    this.#attachment = parts.fanout.attach(this);
    call.on('cancelled', () => this.end(null));
    for (const { filter, qos } of call.request.subscriptions) {
      if (this.#subscriptions.set(filter, qos as Qos)) this.#attachment.want(filter);
    }
    for (const [filter, qos] of this.#subscriptions.entries()) {
      this.#queue.addRetained(this.#attachment.retained(filter), qos);
    }
    this.#scheduleFlush();
  }

  /** The rules are others: a call that they do not grant as it is ends; answers how many of its
   * subscriptions that were. */
  recheck(): number {
    const subscriptions = [...this.#subscriptions.entries()];
    const { grants } = this.#parts.holder;
    const gone = subscriptions.filter(([filter, qos]) => {
      const decision = grants.subscribe(filter, qos);
      return !decision.isAllowed || decision.qos < qos;
    });
    if (gone.length === 0) return 0;
    this.#parts.ledger.dropped('not-authorized', this.#queue.length);
    this.#queue.clear();
    this.end({
      code: status.PERMISSION_DENIED,
      details: 'The rules have changed, and do not grant these subscriptions any more.',
    });
    return gone.length;
  }

  deliver(publications: readonly Publication[]): void {
    if (this.#isEnded) return;
    for (const [index, publication] of publications.entries()) {
      if (this.#queue.offer(publication, this.#subscriptions.qosFor(publication))) continue;
      this.#endSlow(publications.length - index);
      return;
    }
    this.#scheduleFlush();
  }

  /** Null when the reader is gone. */
  end(ending: CallStatus | null): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#attachment.detach();
    this.#output.close();
    if (this.#queue.length > 0) this.#parts.ledger.dropped('session-ended', this.#queue.length);
    this.#queue.clear();
    if (ending !== null) endCall(this.#call, ending);
    this.#parts.onEnded(this);
  }

  #endSlow(undelivered: number): void {
    const dropped = this.#queue.length + undelivered;
    this.#parts.ledger.dropped('gateway-slow', dropped);
    this.#queue.clear();
    const fields = { subscriber: this.id, peer: this.#call.getPeer(), dropped };
    this.#parts.log.warn({ ...fields, reason: 'gateway-slow' }, 'subscriber ended');
    this.end({
      code: status.RESOURCE_EXHAUSTED,
      details: 'Publications came faster than they were read; subscribe again and read faster.',
    });
  }

  #scheduleFlush(): void {
    if (this.#isFlushScheduled || this.#output.isBlocked) return;
    this.#isFlushScheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#isFlushScheduled = false;
    while (!this.#isEnded && !this.#output.isBlocked) {
      const publications = this.#queue.take(Number.MAX_SAFE_INTEGER);
      if (publications.length === 0) return;
      this.#output.write({ publications });
      for (const { qos } of publications) this.#parts.ledger.delivered[qos as Qos].add();
    }
  }
}

/** Throws `filter-invalid` or `not-authorized` with the path of the field. */
export function checkSubscriptions(subscriptions: readonly Subscription[], grants: Grants): void {
  if (subscriptions.length === 0 || subscriptions.length > subscriptionsMax) {
    throw new TrunklineError(
      'filter-invalid',
      `subscriptions has ${subscriptions.length} entries; give 1 to ${subscriptionsMax}.`,
    );
  }
  for (const [index, { filter, qos }] of subscriptions.entries()) {
    const fault = subscriptionFault(filter);
    if (fault !== null) {
      throw new TrunklineError('filter-invalid', `subscriptions[${index}].filter ${fault}.`);
    }
    if (qos > 2) {
      const detail = `subscriptions[${index}].qos is ${qos}; give 0, 1 or 2.`;
      throw new TrunklineError('filter-invalid', detail);
    }
    requireGranted(grants, `subscriptions[${index}]`, { filter, qos: qos as Qos });
  }
}

function requireGranted(
  grants: Grants,
  path: string,
  { filter, qos }: { readonly filter: string; readonly qos: Qos },
): void {
  const decision = grants.subscribe(filter, qos);
  if (!decision.isAllowed) {
    const text = `${path}.filter ${refusalText(decision)}.`;
    throw new TrunklineError('not-authorized', text);
  }
  if (decision.qos === qos) return;
  const most = `${path}.qos is ${qos}; ${decision.qos} is the highest that is allowed.`;
  throw new TrunklineError('not-authorized', most);
}
