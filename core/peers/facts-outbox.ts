/**
 * What this core tells all others about the sessions that it hears of itself: a numbered stream of
 * messages, in the order in which it heard. Nobody waits for it: who misses a number asks.
 */
import type { Clock } from '../../base/clock.ts';
import type { Counter, Metrics } from '../../base/metrics.ts';
import { CoreFacts, type HolderFacts } from '../../proto/gen/trunkline/v1/cores.ts';
import type { Session, SessionEvent } from '../../proto/gen/trunkline/v1/session.ts';
import type { EdgeStats } from '../../proto/gen/trunkline/v1/trunk.ts';
import type { PeerChannel } from '../backplane/backplane.ts';
import { FactsSize, fitted, sessionBytes, textBytes } from './facts-size.ts';
import type { Claim } from './sources.ts';

/** Changes that come together go together. */
const flushMs = 50;
const beatMs = 1_000;
const statsBytes = 4_096;
const eventBytes = 2_048;

/** Of one holder in one message, what comes later may not have an earlier step. */
const steps = { claim: 0, begin: 1, changed: 2, removed: 3, end: 4, detached: 5 } as const;

interface Open {
  readonly facts: HolderFacts;
  step: number;
}

export interface FactsOutboxParts {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly channel: PeerChannel;
}

export class FactsOutbox {
  readonly #parts: FactsOutboxParts;
  readonly #who: { readonly node: string; readonly coreId: string };
  readonly #open = new Map<string, Open>();
  readonly #size = new FactsSize();
  readonly #sent: Counter;
  readonly #stopBeating: () => void;
  #sequence = 0;
  #cancelFlush: (() => void) | null = null;

  constructor(parts: FactsOutboxParts, who: { readonly node: string; readonly coreId: string }) {
    this.#parts = parts;
    this.#who = who;
    this.#sent = parts.metrics.counter(
      'trunkline_peer_facts_sent_total',
      'Messages about sessions that were sent to other cores.',
    );
    this.#stopBeating = parts.clock.every(beatMs, () => this.#beat());
  }

  claim(holder: string, { stamp, region, softwareVersion }: Claim): void {
    const { facts } = this.#at(holder, 'claim', textBytes(softwareVersion));
    facts.claim = stamp;
    facts.region = region;
    facts.softwareVersion = softwareVersion;
  }

  begin(holder: string): void {
    this.#at(holder, 'begin', 0).facts.snapshotBegin = true;
  }

  changed(holder: string, sessions: readonly Session[]): void {
    for (const session of sessions) {
      const own = fitted(session);
      this.#at(holder, 'changed', sessionBytes(own)).facts.changed.push(own);
    }
  }

  removed(holder: string, clientIds: readonly string[]): void {
    for (const id of clientIds) this.#at(holder, 'removed', textBytes(id)).facts.removed.push(id);
  }

  end(holder: string): void {
    this.#at(holder, 'end', 0).facts.snapshotEnd = true;
  }

  /** Events and figures have no place among the steps. */
  happened(holder: string, events: readonly SessionEvent[]): void {
    for (const event of events) {
      const bytes = eventBytes + textBytes(event.clientId) + textBytes(event.username);
      this.#at(holder, null, bytes).facts.events.push(event);
    }
  }

  stats(holder: string, stats: EdgeStats): void {
    this.#at(holder, null, statsBytes).facts.stats = stats;
  }

  interest(holder: string, filterCount: number): void {
    this.#at(holder, null, 0).facts.interestCount = filterCount;
  }

  detached(holder: string): void {
    this.#at(holder, 'detached', 0).facts.detached = true;
  }

  /** Sends what is gathered; answers the number of the last message. */
  flush(): number {
    this.#cancelFlush?.();
    this.#cancelFlush = null;
    if (this.#open.size > 0) {
      this.#sequence++;
      const holders = [...this.#open.values()].map(({ facts }) => facts);
      this.#open.clear();
      this.#size.clear();
      this.#tell({ holders });
    }
    return this.#sequence;
  }

  close(): void {
    this.flush();
    this.#stopBeating();
    this.#tell({ leaving: true });
  }

  /** So that the others know that it is there, and see when they missed the last message. */
  #beat(): void {
    this.flush();
    this.#tell({});
  }

  #tell(what: Partial<CoreFacts>): void {
    const message = { ...emptyFacts(this.#who), sequence: this.#sequence, ...what };
    if (this.#parts.channel.tellAll(CoreFacts.encode(message).finish())) this.#sent.add();
  }

  #at(holder: string, step: keyof typeof steps | null, bytes: number): Open {
    const present = this.#open.get(holder);
    // A claim begins anew, and only the changes and the removals may come several times.
    const isOld =
      present !== undefined &&
      step !== null &&
      (steps[step] < present.step || (steps[step] === present.step && !isMany(step)));
    if (isOld || this.#size.overflows(bytes)) this.flush();
    this.#cancelFlush ??= this.#parts.clock.after(flushMs, () => this.flush());
    let open = this.#open.get(holder);
    if (open === undefined) {
      open = { facts: emptyHolder(holder), step: -1 };
      this.#open.set(holder, open);
    }
    if (step !== null) open.step = steps[step];
    this.#size.add(bytes);
    return open;
  }
}

function isMany(step: keyof typeof steps): boolean {
  return step === 'changed' || step === 'removed';
}

export function emptyHolder(id: string): HolderFacts {
  return {
    id,
    claim: 0,
    region: '',
    softwareVersion: '',
    snapshotBegin: false,
    changed: [],
    removed: [],
    snapshotEnd: false,
    events: [],
    stats: undefined,
    interestCount: undefined,
    detached: false,
  };
}

export function emptyFacts(who: { readonly node: string; readonly coreId: string }): CoreFacts {
  const { coreId, node } = who;
  return {
    node,
    coreId,
    sequence: 0,
    holders: [],
    snapshotBegin: false,
    snapshotEnd: false,
    answer: false,
    leaving: false,
  };
}
