/**
 * From a publication to the sessions that want it. Tells the uplink which filters are wanted here.
 * Source: MQTT 3.1.1 sections 3.3.5 and 4.7.
 */
import type { Ledger } from '../../base/ledger.ts';
import type { Publication, Qos } from '../../base/publication.ts';
import { parseShare, type Share } from '../../base/topic.ts';
import { TopicIndex } from '../../base/topic-index.ts';
import type { Run } from '../../proto/run.ts';
import type { Confirmed, Uplink } from '../ports.ts';
import type { GrantedSubscription, Session } from '../session.ts';
import type { Retained } from './retained.ts';
import { type Route, routeOf, type Subscriber, type Target } from './route.ts';
import { SharedGroup } from './shared-group.ts';
import { SharedGroups, type SharedGroupsParts } from './shared-groups.ts';
import type { SharedStrategy } from './shared-members.ts';

export interface RouterParts extends SharedGroupsParts {
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
  readonly groups: SharedGroups;
  readonly #parts: RouterParts;
  readonly #index = new TopicIndex<Subscriber, GrantedSubscription, Route>();
  /** How many subscriptions want each filter. */
  readonly #wanted = new Map<string, number>();
  #subscriptionCount = 0;

  constructor(parts: RouterParts, options: { readonly shared_strategy: SharedStrategy }) {
    this.#parts = parts;
    this.groups = new SharedGroups(parts, options.shared_strategy);
  }

  get subscriptionCount(): number {
    return this.#subscriptionCount;
  }

  wantedFilters(): Iterable<string> {
    return this.#wanted.keys();
  }

  /** Resolves when retained messages for the filter are as current as the core can make them. The
   * filter is sound. */
  async subscribe(session: Session, filter: string, granted: GrantedSubscription): Promise<void> {
    const share = shareOf(filter);
    const isNew =
      share === null
        ? this.#index.add(filter, session, granted)
        : this.#join(session, { name: filter, filter: share.filter }, granted);
    if (!isNew) return;
    this.#subscriptionCount++;
    await this.#want(share?.filter ?? filter);
  }

  unsubscribe(session: Session, filter: string): void {
    const share = shareOf(filter);
    const isRemoved =
      share === null
        ? this.#index.remove(filter, session)
        : this.#leave(session, { name: filter, filter: share.filter });
    if (!isRemoved) return;
    this.#subscriptionCount--;
    this.#unwant(share?.filter ?? filter);
  }

  /** Keeps it when it is to be retained, and delivers it. */
  route(publication: Publication, { sequence, publisher }: Routed): void {
    if (publication.retain) this.#parts.retained.set(publication, sequence);
    const { targets, groups } = this.#routeOf(publication.topic);
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
    for (const group of groups) {
      const clientId = publisher?.clientId ?? '';
      if (group.deliver({ publication, sequence, clientId })) isWanted = true;
    }
    if (!isWanted) this.#parts.ledger.unclaimed.add();
  }

  /** The same for each publication of a run. */
  routeRun(run: Run, at: Routed): void {
    const { targets, isPlain } = this.#routeOf(run.topic);
    if (isPlain) {
      if (targets.length === 0) this.#parts.ledger.unclaimed.add(run.count);
      for (const { session, qos } of targets) session.outbox.deliverRun(run, at.sequence, qos);
      return;
    }
    const step = at.sequence === 0 ? 0 : 1;
    for (const [index, publication] of run.publications().entries()) {
      const sequence = at.sequence + index * step;
      this.route(publication, { sequence, publisher: at.publisher });
    }
  }

  /** Sessions that wanted the topic when the log had come to the sequence, and shared subscriptions,
   * which know it themselves. */
  wantedSince(
    topic: string,
    { sequence, publisher }: Routed,
  ): { targets: Target[]; groups: readonly SharedGroup[] } {
    const { targets, groups } = routeOf(
      this.#index
        .match(topic)
        .filter(({ value, detail }) => value instanceof SharedGroup || detail.since <= sequence),
    );
    return { targets: targets.flatMap((one) => targetFor(one, publisher) ?? []), groups };
  }

  /** Whether a kept session wants it at a QoS that must survive this process. */
  needsLog(publication: Publication): boolean {
    if (publication.qos === 0) return false;
    return this.#index
      .match(publication.topic)
      .some(({ value, detail }) =>
        value instanceof SharedGroup ? value.isKept : value.identity.isKept && detail.qos > 0,
      );
  }

  #join(session: Session, share: NamedShare, granted: GrantedSubscription): boolean {
    const group = this.groups.obtain(share.name);
    const isNew = group.join(session, granted);
    // Its members are its own: one entry stands for all of them.
    if (isNew && group.memberCount === 1) this.#index.add(share.filter, group, granted);
    return isNew;
  }

  #leave(session: Session, share: NamedShare): boolean {
    const group = this.groups.get(share.name);
    if (group?.leave(session) !== true) return false;
    if (group.memberCount === 0) this.#index.remove(share.filter, group);
    return true;
  }

  async #want(filter: string): Promise<void> {
    const count = (this.#wanted.get(filter) ?? 0) + 1;
    this.#wanted.set(filter, count);
    if (count > 1) return;
    const { retained, uplink } = this.#parts;
    const mark = retained.mark();
    try {
      const confirmed = await uplink.want(filter);
      if (confirmed !== null) await retained.dropUnconfirmed(filter, mark, confirmed);
    } finally {
      retained.settle(mark);
    }
  }

  /** The core is asked for all filters at once; see `LocalDelivery`. */
  beginRetainedSync(isKnownLog: boolean): (confirmed: Confirmed | null) => Promise<void> {
    const { retained } = this.#parts;
    const mark = retained.mark();
    const filters = [...this.#wanted.keys()];
    const held = isKnownLog ? null : retained.hold();
    return async (confirmed) => {
      try {
        await held;
        if (confirmed === null || !isKnownLog) return;
        for (const filter of filters) await retained.dropUnconfirmed(filter, mark, confirmed);
      } finally {
        retained.settle(mark);
      }
    };
  }

  #unwant(filter: string): void {
    const count = (this.#wanted.get(filter) ?? 1) - 1;
    if (count > 0) {
      this.#wanted.set(filter, count);
      return;
    }
    this.#wanted.delete(filter);
    this.#parts.uplink.unwant(filter);
  }

  #routeOf(topic: string): Route {
    const known = this.#index.remember(topic);
    known.compiled ??= routeOf(known.matches);
    return known.compiled;
  }
}

interface NamedShare {
  /** The whole filter. */
  readonly name: string;
  readonly filter: string;
}

function shareOf(filter: string): Share | null {
  const share = parseShare(filter);
  return typeof share === 'string' ? null : share;
}

function targetFor(target: Target, publisher: Session | null): Target | null {
  return target.own === null || target.session !== publisher ? target : target.own.target;
}
