/**
 * Where the publications of one topic go: each session once, at the highest QoS that its matching
 * subscriptions grant, with the identifiers of all of them. Made from the index's answer and kept as
 * long as that stands.
 * Source: MQTT 3.1.1 section 3.3.5; MQTT 5 sections 3.3.4 and 3.8.3.1.
 */
import type { Qos } from '../../base/publication.ts';
import type { IndexEntry } from '../../base/topic-index.ts';
import type { GrantedSubscription, Session } from '../session.ts';

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
  /** No target has anything but a QoS: runs can go to them whole. */
  readonly isPlain: boolean;
}

const noIdentifiers: readonly number[] = [];

export function routeOf(matches: readonly IndexEntry<Session, GrantedSubscription>[]): Route {
  const targets =
    matches.length === 1
      ? matches.map(({ value, detail }) => targetOf(value, [detail]))
      : grouped(matches);
  const isPlain = targets.every(({ identifiers, own }) => identifiers.length === 0 && own === null);
  return { targets, isPlain };
}

function grouped(matches: readonly IndexEntry<Session, GrantedSubscription>[]): Target[] {
  const bySession = new Map<Session, GrantedSubscription[]>();
  for (const { value, detail } of matches) {
    const known = bySession.get(value);
    if (known === undefined) bySession.set(value, [detail]);
    else known.push(detail);
  }
  return [...bySession].map(([session, granted]) => targetOf(session, granted));
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
