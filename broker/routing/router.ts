/**
 * From a publication to the sessions that want it. Tells the uplink which filters are wanted here.
 * Source: MQTT 3.1.1 sections 3.3.5 and 4.7.
 */
import type { Ledger } from '../../base/ledger.ts';
import type { Publication, Qos } from '../../base/publication.ts';
import { type IndexEntry, TopicIndex } from '../../base/topic-index.ts';
import type { Run } from '../../proto/run.ts';
import type { Uplink } from '../ports.ts';
import type { GrantedSubscription, Session } from '../session.ts';
import type { Retained } from './retained.ts';
import { type Route, routeOf, type Target } from './route.ts';

export interface RouterParts {
  readonly ledger: Ledger;
  readonly uplink: Uplink;
  readonly retained: Retained;
}

/** What goes to the sessions, and who of them published it. */
export interface Routed {
  /** Place in the log, of a run that of its first; 0 when it is not in it. */
  readonly sequence: number;
  /** Null for what did not come from a session here. */
  readonly publisher: Session | null;
}

export class Router {
  readonly #parts: RouterParts;
  readonly #index = new TopicIndex<Session, GrantedSubscription>();
  /** By the index's answer, which is another array as soon as anything in it changes. */
  readonly #routes = new WeakMap<readonly IndexEntry<Session, GrantedSubscription>[], Route>();
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
    if (isAnswered) await retained.dropUnconfirmed(filter, stamp);
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

  /** Keeps it when it is to be retained, and delivers it. */
  route(publication: Publication, { sequence, publisher }: Routed): void {
    if (publication.retain) this.#parts.retained.set(publication, sequence);
    const { targets } = this.#routeOf(publication.topic);
    let isWanted = false;
    for (const one of targets) {
      const target = targetFor(one, publisher);
      if (target === null) continue;
      isWanted = true;
      target.session.outbox.deliver({
        sequence,
        qos: Math.min(target.qos, publication.qos) as Qos,
        retain: target.retainAsPublished && publication.retain,
        publication,
        identifiers: target.identifiers,
        owner: null,
      });
    }
    if (!isWanted) this.#parts.ledger.unclaimed.add();
  }

  /** The same for each publication of a run. */
  routeRun(run: Run, at: Routed): void {
    const { targets, isPlain } = this.#routeOf(run.topic);
    if (targets.length === 0) {
      this.#parts.ledger.unclaimed.add(run.count);
      return;
    }
    if (isPlain) {
      for (const { session, qos } of targets) session.outbox.deliverRun(run, at.sequence, qos);
      return;
    }
    const step = at.sequence === 0 ? 0 : 1;
    for (const [index, publication] of run.publications().entries()) {
      const sequence = at.sequence + index * step;
      this.route(publication, { sequence, publisher: at.publisher });
    }
  }

  /** Sessions that wanted the topic when the log had come to the sequence. */
  wantedSince(topic: string, { sequence, publisher }: Routed): Target[] {
    const matches = this.#index.match(topic).filter(({ detail }) => detail.since <= sequence);
    return routeOf(matches).targets.flatMap((one) => targetFor(one, publisher) ?? []);
  }

  /** Whether a kept session wants it at a QoS that must survive this process. */
  needsLog(publication: Publication): boolean {
    if (publication.qos === 0) return false;
    return this.#index
      .match(publication.topic)
      .some(({ value, detail }) => value.identity.isKept && detail.qos > 0);
  }

  #routeOf(topic: string): Route {
    const matches = this.#index.match(topic);
    let route = this.#routes.get(matches);
    if (route === undefined) {
      route = routeOf(matches);
      this.#routes.set(matches, route);
    }
    return route;
  }
}

function targetFor(target: Target, publisher: Session | null): Target | null {
  return target.own === null || target.session !== publisher ? target : target.own.target;
}
