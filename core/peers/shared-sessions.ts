/**
 * One index of sessions on every core: what this core hears of its edges and gateways goes into its
 * own index and to all other cores, and what they hear comes here. Off the message path.
 */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Metrics } from '../../base/metrics.ts';
import {
  CoreFacts,
  CoreFactsRequest,
  type HolderFacts,
} from '../../proto/gen/trunkline/v1/cores.ts';
import type { Session, SessionEvent } from '../../proto/gen/trunkline/v1/session.ts';
import type { EdgeStats } from '../../proto/gen/trunkline/v1/trunk.ts';
import type { PeerChannel, PeerCores } from '../backplane/backplane.ts';
import type { SessionIndex } from '../sessions/session-index.ts';
import type { EdgeHello, SessionSink } from '../sessions/session-sink.ts';
import { FactsAnswers } from './facts-answers.ts';
import { FactsFollower } from './facts-follower.ts';
import { FactsOutbox } from './facts-outbox.ts';
import { LocalHolders } from './local-holders.ts';
import { Sources } from './sources.ts';

/** Devices behind the gateways of a core that is gone for so long are gone, too. */
const lostCoreMs = 600_000;

export interface SharedSessionsParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly index: SessionIndex;
  readonly peers: PeerCores;
}

/** Not an edge's name: those have no colon. */
const holderOf = (coreId: string) => `core:${coreId}`;
const isEdge = (holder: string) => !holder.includes(':');

export class SharedSessions implements SessionSink {
  readonly #clock: Clock;
  readonly #index: SessionIndex;
  readonly #node: string;
  readonly #questions: PeerChannel;
  readonly #local = new LocalHolders();
  readonly #sources: Sources;
  readonly #outbox: FactsOutbox;
  readonly #answers: FactsAnswers;
  readonly #follower: FactsFollower;
  /** Cores that are gone, and what ends the wait for them. */
  readonly #lost = new Map<string, () => void>();

  constructor(parts: SharedSessionsParts, coreId: string) {
    const { clock, index, peers } = parts;
    this.#clock = clock;
    this.#index = index;
    this.#node = peers.node;
    const who = { node: peers.node, coreId };
    this.#sources = new Sources(peers.node, {
      began: (edgeId, { region, softwareVersion }) => {
        if (isEdge(edgeId)) index.edgeAttached({ edgeId, region, softwareVersion });
      },
      ended: (holder) => {
        if (isEdge(holder)) index.edgeDetached(holder);
      },
    });
    this.#follower = new FactsFollower(parts, peers.node, {
      ask: (node, holders) => this.#ask(node, holders),
      take: (node, facts) => this.#take(node, facts),
      release: (node, holder) => this.#release(holder, node),
      standing: (id, standing) => this.#standing(id, standing),
    });
    const channel = peers.channel('facts', (body) => this.#follower.heard(CoreFacts.decode(body)));
    this.#outbox = new FactsOutbox({ ...parts, channel }, who);
    const own = { ...parts, channel, outbox: this.#outbox, local: this.#local };
    this.#answers = new FactsAnswers(own, who);
    this.#questions = peers.channel('facts-asked', (body) => {
      const { holders, node } = CoreFactsRequest.decode(body);
      if (node !== peers.node) this.#answers.ask(node, holders);
    });
    this.#attach(holderOf(coreId), { region: '', softwareVersion: '' });
  }

  edgeAttached(hello: EdgeHello): void {
    this.#attach(hello.edgeId, hello);
    this.#index.edgeAttached(hello);
  }

  edgeDetached(edgeId: string): void {
    this.#index.edgeDetached(edgeId);
    if (!this.#local.detach(edgeId)) return;
    this.#outbox.detached(edgeId);
    this.#release(edgeId, this.#node);
  }

  edgeStats(edgeId: string, stats: EdgeStats): void {
    this.#index.edgeStats(edgeId, stats);
    const holder = this.#local.get(edgeId);
    if (holder !== undefined) holder.stats = stats;
    this.#outbox.stats(edgeId, stats);
  }

  edgeInterest(edgeId: string, filterCount: number): void {
    this.#index.edgeInterest(edgeId, filterCount);
    const holder = this.#local.get(edgeId);
    if (holder !== undefined) holder.interestCount = filterCount;
    this.#outbox.interest(edgeId, filterCount);
  }

  snapshotBegin(edgeId: string): void {
    this.#index.snapshotBegin(edgeId);
    const holder = this.#local.get(edgeId);
    if (holder !== undefined) {
      holder.isRenewing = true;
      holder.renewals++;
    }
    this.#outbox.begin(edgeId);
  }

  snapshotEnd(edgeId: string): void {
    this.#index.snapshotEnd(edgeId);
    const holder = this.#local.get(edgeId);
    if (holder !== undefined) holder.isRenewing = false;
    this.#outbox.end(edgeId);
  }

  upsert(edgeId: string, sessions: readonly Session[]): void {
    this.#index.upsert(edgeId, sessions);
    this.#outbox.changed(edgeId, sessions);
  }

  remove(edgeId: string, clientIds: readonly string[]): void {
    this.#index.remove(edgeId, clientIds);
    this.#outbox.removed(edgeId, clientIds);
  }

  happened(edgeId: string, events: readonly SessionEvent[]): void {
    this.#index.happened(edgeId, events);
    this.#outbox.happened(edgeId, events);
  }

  async close(): Promise<void> {
    this.#answers.close();
    this.#follower.close();
    this.#outbox.close();
    for (const cancel of this.#lost.values()) cancel();
  }

  #attach(id: string, { region, softwareVersion }: Omit<EdgeHello, 'edgeId'>): void {
    const stamp = this.#sources.nextStamp(id, this.#clock.now());
    const claim = { stamp, region, softwareVersion };
    this.#sources.claim(id, this.#node, claim);
    this.#local.attach(id, claim);
    this.#outbox.claim(id, claim);
  }

  #ask(node: string, holders: readonly string[]): void {
    const request = { node: this.#node, holders: [...holders] };
    this.#questions.tell(node, CoreFactsRequest.encode(request).finish());
  }

  /** What came of the one that speaks for it now was passed over until now. */
  #release(holder: string, node: string): void {
    const source = this.#sources.release(holder, node);
    if (source !== null) this.#ask(source, [holder]);
  }

  #take(node: string, facts: HolderFacts): void {
    const { claim, id, region, softwareVersion } = facts;
    if (claim > 0) this.#sources.claim(id, node, { stamp: claim, region, softwareVersion });
    if (!this.#sources.isSource(id, node)) return;
    const index = this.#index;
    if (facts.snapshotBegin) index.snapshotBegin(id);
    if (facts.changed.length > 0) index.upsert(id, facts.changed);
    if (facts.removed.length > 0) index.remove(id, facts.removed);
    if (facts.snapshotEnd) index.snapshotEnd(id);
    if (facts.events.length > 0) index.happened(id, facts.events);
    if (facts.stats !== undefined) index.edgeStats(id, facts.stats);
    if (facts.interestCount !== undefined) index.edgeInterest(id, facts.interestCount);
  }

  #standing(coreId: string, standing: 'whole' | 'behind' | 'silent' | 'left'): void {
    const holder = holderOf(coreId);
    this.#lost.get(holder)?.();
    this.#lost.delete(holder);
    this.#index.coreStands(holder, standing === 'left' ? 'whole' : standing);
    if (standing === 'left') this.#clear(holder);
    if (standing !== 'silent') return;
    const forget = () => {
      this.#lost.delete(holder);
      this.#clear(holder);
    };
    this.#lost.set(holder, this.#clock.after(lostCoreMs, forget));
  }

  #clear(holder: string): void {
    this.#index.snapshotBegin(holder);
    this.#index.snapshotEnd(holder);
  }
}
