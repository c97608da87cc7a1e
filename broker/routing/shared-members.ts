/**
 * The members of a shared subscription, and who of them gets the next message: of the connected ones
 * that keep up, by the strategy; if none does, of all that are connected; if none is, a kept one in
 * turn.
 */
import type { GrantedSubscription, Session } from '../session.ts';

export type SharedStrategy = 'round-robin' | 'sticky' | 'least-loaded';

export interface Member {
  readonly session: Session;
  readonly granted: GrantedSubscription;
  /** Its place in the order of preference that each key has. */
  readonly weight: number;
}

export class SharedMembers {
  readonly #strategy: SharedStrategy;
  readonly #members = new Map<Session, Member>();
  /** Null when somebody came, went, connected or lost its connection since it was made. */
  #connected: readonly Member[] | null = null;
  #kept: readonly Member[] | null = null;
  #turn = 0;
  #keptTurn = 0;

  constructor(strategy: SharedStrategy) {
    this.#strategy = strategy;
  }

  get size(): number {
    return this.#members.size;
  }

  /** Those that are connected; the array is shared. */
  get connected(): readonly Member[] {
    this.#connected ??= [...this.#members.values()].filter(
      ({ session }) => session.outbox.isConnected,
    );
    return this.#connected;
  }

  /** Those with something that others could take: they are away, or don't keep up. */
  *behind(): Iterable<Session> {
    for (const session of this.#members.keys()) {
      const { isConnected, isCrowded, queuedCount } = session.outbox;
      if (queuedCount > 0 && (!isConnected || isCrowded)) yield session;
    }
  }

  /** Adds or replaces; true for a new one. */
  add(session: Session, granted: GrantedSubscription): boolean {
    const isNew = !this.#members.has(session);
    this.#members.set(session, { session, granted, weight: hashOf(session.clientId) });
    this.presenceChanged();
    return isNew;
  }

  /** True when it was one. */
  remove(session: Session): boolean {
    this.presenceChanged();
    return this.#members.delete(session);
  }

  presenceChanged(): void {
    this.#connected = null;
    this.#kept = null;
  }

  /** Null when nobody is connected and nobody is kept. The key says which messages belong together
   * where the strategy cares. */
  choose(key: string): Member | null {
    const { connected } = this;
    return (
      this.#pick(connected, key, isReady) ?? this.#pick(connected, key, isAny) ?? this.#nextKept()
    );
  }

  /** For a message that one of them did not get and is owed. */
  chooseForOwed(key: string): Member | null {
    return (
      this.#pick(this.connected, key, (one) => takesOwed(one) && isReady(one)) ??
      this.#pick(this.connected, key, takesOwed) ??
      this.#nextKept()
    );
  }

  /** The same, but only who can take what others don't get done. */
  chooseToSpare(key: string): Member | null {
    return this.#pick(this.connected, key, hasRoomToSpare);
  }

  #pick(list: readonly Member[], key: string, suits: (one: Member) => boolean): Member | null {
    switch (this.#strategy) {
      case 'round-robin':
        return this.#best(list, suits, () => 0);
      case 'sticky': {
        const hash = hashOf(key);
        return this.#best(list, suits, ({ weight }) => -mixed(weight ^ hash));
      }
      case 'least-loaded':
        return this.#best(list, suits, ({ session: { outbox } }) => {
          return outbox.queuedCount + outbox.inflightCount;
        });
    }
  }

  /** The first of the lowest rank, going round from where the last search ended. */
  #best(
    list: readonly Member[],
    suits: (one: Member) => boolean,
    rankOf: (one: Member) => number,
  ): Member | null {
    let best: Member | null = null;
    let lowest = Number.POSITIVE_INFINITY;
    let bestAt = 0;
    for (let i = 0; i < list.length; i++) {
      const at = (this.#turn + i) % list.length;
      const member = list[at] as Member;
      if (!suits(member)) continue;
      const rank = rankOf(member);
      if (rank >= lowest) continue;
      [best, lowest, bestAt] = [member, rank, at];
      if (rank === 0 && this.#strategy !== 'sticky') break;
    }
    if (best !== null) this.#turn = bestAt + 1;
    return best;
  }

  #nextKept(): Member | null {
    this.#kept ??= [...this.#members.values()].filter(
      ({ session, granted }) => session.identity.isKept && granted.qos > 0,
    );
    if (this.#kept.length === 0) return null;
    this.#keptTurn = (this.#keptTurn + 1) % this.#kept.length;
    return this.#kept[this.#keptTurn] as Member;
  }
}

const isAny = () => true;

function isReady({ session }: Member): boolean {
  return !session.outbox.isCrowded;
}

function takesOwed({ granted }: Member): boolean {
  return granted.qos > 0;
}

function hasRoomToSpare(member: Member): boolean {
  return takesOwed(member) && member.session.outbox.hasRoomToSpare;
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

/** Spreads the bits, so that keys which differ a little prefer different members. */
function mixed(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
