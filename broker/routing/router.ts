/**
 * From a publication to the sessions that want it. Each session gets it once, at the lower of the
 * publication's QoS and the highest that its matching subscriptions grant. Tells the uplink which
 * filters are wanted here.
 * Source: MQTT 3.1.1 sections 3.3.5 and 4.7.
 */
import type { Ledger } from '../../base/ledger.ts';
import type { Publication, Qos } from '../../base/publication.ts';
import { TopicIndex } from '../../base/topic-index.ts';
import type { Uplink } from '../ports.ts';
import type { GrantedSubscription, Session } from '../session.ts';
import type { Retained } from './retained.ts';

export interface RouterParts {
  readonly ledger: Ledger;
  readonly uplink: Uplink;
  readonly retained: Retained;
}

export class Router {
  readonly #parts: RouterParts;
  readonly #index = new TopicIndex<Session, GrantedSubscription>();
  /** How many sessions want each filter. */
  readonly #wanted = new Map<string, number>();

  constructor(parts: RouterParts) {
    this.#parts = parts;
  }

  get subscriptionCount(): number {
    return this.#index.size;
  }

  wantedFilters(): Iterable<string> {
    return this.#wanted.keys();
  }

  /** Resolves when retained messages for the filter are as current as the core can make them. */
  async subscribe(session: Session, filter: string, granted: GrantedSubscription): Promise<void> {
    if (!this.#index.add(filter, session, granted)) return;
    const count = (this.#wanted.get(filter) ?? 0) + 1;
    this.#wanted.set(filter, count);
    if (count > 1) return;
    const { retained, uplink } = this.#parts;
    const { stamp } = retained;
    const isAnswered = await uplink.want(filter);
    if (isAnswered) retained.dropUnconfirmed(filter, stamp);
  }

  unsubscribe(session: Session, filter: string): void {
    if (!this.#index.remove(filter, session)) return;
    const count = (this.#wanted.get(filter) ?? 1) - 1;
    if (count > 0) {
      this.#wanted.set(filter, count);
      return;
    }
    this.#wanted.delete(filter);
    this.#parts.uplink.unwant(filter);
  }

  /** Keeps it when it is to be retained, and delivers it. `sequence` is 0 when it is not in the log. */
  route(publication: Publication, sequence: number): void {
    if (publication.retain) this.#parts.retained.set(publication, sequence);
    const matches = this.#index.match(publication.topic);
    if (matches.length === 0) {
      this.#parts.ledger.unclaimed.add();
      return;
    }
    const first = matches[0];
    if (matches.length === 1 && first !== undefined) {
      deliver(first.value, first.detail.qos, { publication, sequence });
      return;
    }
    for (const [session, qos] of bestOf(matches)) {
      deliver(session, qos, { publication, sequence });
    }
  }

  /** Sessions that wanted the topic when the log had come to `sequence`, with their best grant. */
  wantedSince(topic: string, sequence: number): Iterable<[Session, Qos]> {
    return bestOf(this.#index.match(topic).filter(({ detail }) => detail.since <= sequence));
  }

  /** Whether a kept session wants it at a QoS that must survive this process. */
  needsLog(publication: Publication): boolean {
    if (publication.qos === 0) return false;
    return this.#index
      .match(publication.topic)
      .some(({ value, detail }) => value.identity.isKept && detail.qos > 0);
  }
}

function bestOf(
  matches: readonly { value: Session; detail: GrantedSubscription }[],
): Map<Session, Qos> {
  const best = new Map<Session, Qos>();
  for (const { value, detail } of matches) {
    const known = best.get(value);
    if (known === undefined || known < detail.qos) best.set(value, detail.qos);
  }
  return best;
}

function deliver(
  session: Session,
  granted: Qos,
  item: { readonly publication: Publication; readonly sequence: number },
): void {
  const qos = Math.min(granted, item.publication.qos) as Qos;
  const { publication, sequence } = item;
  session.outbox.deliver({ publication, sequence, qos, retain: false });
}
