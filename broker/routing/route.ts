/**
 * Where the publications of one topic go: each session once, at the highest QoS that its matching
 * subscriptions grant, with the identifiers of all of them; and each shared subscription once, apart
 * from what its members get by themselves. Made from the index's answer and kept as
 * long as that stands.
 * Source: MQTT 3.1.1 section 3.3.5; MQTT 5 sections 3.3.4, 3.8.3.1 and 4.8.2.
 */
import type { Qos } from '../../base/publication.ts';
import type { IndexEntry } from '../../base/topic-index.ts';
import type { GrantedSubscription, Session } from '../session.ts';
import { SharedGroup } from './shared-group.ts';

/** Who has a subscription in the index. A shared one counts for its members together. */
export type Subscriber = Session | SharedGroup;

export type Match = IndexEntry<Subscriber, GrantedSubscription>;

export interface Target {
  readonly session: Session;
  readonly qos: Qos;
  readonly identifiers: readonly number[];
  readonly retainAsPublished: boolean;
  /** The same for what the session publishes itself, where "no local" makes a difference. */
  readonly own: OwnTarget | null;
}

/** Null when the session does not get what it publishes itself. */
export interface OwnTarget {
  readonly target: Target | null;
}

export interface Route {
  readonly targets: readonly Target[];
  readonly groups: readonly SharedGroup[];
  /** There are no groups, and no target has anything but a QoS: runs can go to them whole. */
  readonly isPlain: boolean;
}

const noIdentifiers: readonly number[] = [];
const noGroups: readonly SharedGroup[] = [];

export function routeOf(matches: readonly Match[]): Route {
  const [first] = matches;
  if (matches.length === 1 && first !== undefined && !(first.value instanceof SharedGroup)) {
    return route([targetOf(first.value, [first.detail])], noGroups);
  }
  const bySession = new Map<Session, GrantedSubscription[]>();
  const groups: SharedGroup[] = [];
  for (const { value, detail } of matches) {
    if (value instanceof SharedGroup) {
      groups.push(value);
      continue;
    }
    const known = bySession.get(value);
    if (known === undefined) bySession.set(value, [detail]);
    else known.push(detail);
  }
  return route(
    [...bySession].map(([session, granted]) => targetOf(session, granted)),
    groups,
  );
}

function route(targets: readonly Target[], groups: readonly SharedGroup[]): Route {
  const isPlain =
    groups.length === 0 &&
    targets.every(({ identifiers, own }) => identifiers.length === 0 && own === null);
  return { targets, groups, isPlain };
}

function targetOf(session: Session, granted: readonly GrantedSubscription[]): Target {
  const isMixed = granted.some(({ noLocal }) => noLocal);
  const others = isMixed ? granted.filter(({ noLocal }) => !noLocal) : granted;
  const own = others.length === 0 ? null : bestOf(session, others, null);
  return bestOf(session, granted, isMixed ? { target: own } : null);
}

function bestOf(
  session: Session,
  granted: readonly GrantedSubscription[],
  own: OwnTarget | null,
): Target {
  let qos: Qos = 0;
  let identifiers = noIdentifiers;
  let retainAsPublished = false;
  for (const one of granted) {
    if (one.qos > qos) qos = one.qos;
    if (one.identifier > 0) identifiers = [...identifiers, one.identifier];
    if (one.retainAsPublished) retainAsPublished = true;
  }
  return { session, qos, identifiers, retainAsPublished, own };
}
