/**
 * Follows what other cores tell of their sessions. A core that is new, or of which a message was
 * missed, is asked for all that it has; one that falls silent speaks for nobody any more.
 */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Counter, Metrics } from '../../base/metrics.ts';
import type { CoreFacts, HolderFacts } from '../../proto/gen/trunkline/v1/cores.ts';

/** A core tells something each second. */
const silentMsMax = 4_000;
/** An answer that does not begin, or does not go on, for so long is asked for again. */
const answerMsMax = 3_000;
/** Far more than share a log. */
const coresMax = 100;

type Progress = 'asked' | 'answering' | 'whole';

interface Followed {
  readonly coreId: string;
  sequence: number;
  progress: Progress;
  heardAt: number;
  /** When it was asked, or last went on with its answer. */
  movedAt: number;
  readonly holders: Set<string>;
  /** Those that the answer under way has not named yet. */
  unnamed: Set<string>;
}

export interface FollowerHooks {
  /** Asks a core for some of its holders, or for all. */
  ask(node: string, holders: readonly string[]): void;
  /** What a core tells of a holder; in order, once. */
  take(node: string, facts: HolderFacts): void;
  /** A core does not speak for a holder any more. */
  release(node: string, holder: string): void;
  /** How far what a core has is known here. */
  standing(coreId: string, standing: 'whole' | 'behind' | 'silent' | 'left'): void;
}

export class FactsFollower {
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #node: string;
  readonly #hooks: FollowerHooks;
  readonly #cores = new Map<string, Followed>();
  readonly #gaps: Counter;
  readonly #stopTicking: () => void;

  constructor(
    parts: { readonly clock: Clock; readonly log: Logger; readonly metrics: Metrics },
    node: string,
    hooks: FollowerHooks,
  ) {
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#node = node;
    this.#hooks = hooks;
    this.#gaps = parts.metrics.counter(
      'trunkline_peer_facts_gaps_total',
      'Times that messages of another core about sessions were missed, and all was asked for.',
    );
    parts.metrics.gauge(
      'trunkline_peer_facts_behind',
      'Other cores whose sessions are not all known here yet.',
      () => [...this.#cores.values()].filter(({ progress }) => progress !== 'whole').length,
    );
    this.#stopTicking = parts.clock.every(silentMsMax / 4, () => this.#tick());
  }

  heard(facts: CoreFacts): void {
    const { node, sequence } = facts;
    if (node === this.#node) return;
    const core = this.#cores.get(node);
    if (core === undefined) {
      if (!facts.leaving) this.#meet(facts);
      return;
    }
    core.heardAt = this.#clock.elapsed();
    if (facts.leaving) this.#lose(node, core, 'left');
    else if (facts.answer) this.#answered(node, core, facts);
    else if (core.progress !== 'asked') {
      const isNext = sequence === core.sequence + (facts.holders.length > 0 ? 1 : 0);
      if (isNext) {
        core.sequence = sequence;
        this.#take(node, core, facts.holders);
      } else this.#missed(node, core);
    }
  }

  close(): void {
    this.#stopTicking();
  }

  #meet({ node, coreId }: CoreFacts): void {
    if (this.#cores.size >= coresMax) return;
    const now = this.#clock.elapsed();
    const core: Followed = {
      coreId,
      sequence: 0,
      progress: 'asked',
      heardAt: now,
      movedAt: now,
      holders: new Set(),
      unnamed: new Set(),
    };
    this.#cores.set(node, core);
    this.#ask(node, core);
  }

  #ask(node: string, core: Followed): void {
    core.progress = 'asked';
    core.movedAt = this.#clock.elapsed();
    this.#hooks.standing(core.coreId, 'behind');
    this.#hooks.ask(node, []);
  }

  #missed(node: string, core: Followed): void {
    this.#gaps.add();
    this.#log.info({ core: core.coreId }, 'facts of another core were missed');
    this.#ask(node, core);
  }

  #answered(node: string, core: Followed, facts: CoreFacts): void {
    if (facts.snapshotBegin) {
      core.progress = 'answering';
      core.sequence = facts.sequence;
      core.unnamed = new Set(core.holders);
    }
    // Of an answer that was given up.
    if (core.progress === 'asked') return;
    if (facts.sequence !== core.sequence) {
      this.#missed(node, core);
      return;
    }
    core.movedAt = this.#clock.elapsed();
    this.#take(node, core, facts.holders);
    if (!facts.snapshotEnd) return;
    for (const holder of core.unnamed) this.#release(node, core, holder);
    core.progress = 'whole';
    this.#hooks.standing(core.coreId, 'whole');
    this.#log.info({ core: core.coreId, holders: core.holders.size }, 'sessions of a core known');
  }

  #take(node: string, core: Followed, holders: readonly HolderFacts[]): void {
    for (const facts of holders) {
      core.unnamed.delete(facts.id);
      if (facts.claim > 0) core.holders.add(facts.id);
      this.#hooks.take(node, facts);
      if (facts.detached) this.#release(node, core, facts.id);
    }
  }

  #release(node: string, core: Followed, holder: string): void {
    if (core.holders.delete(holder)) this.#hooks.release(node, holder);
  }

  #tick(): void {
    const now = this.#clock.elapsed();
    for (const [node, core] of this.#cores) {
      if (now - core.heardAt > silentMsMax) this.#lose(node, core, 'silent');
      else if (core.progress !== 'whole' && now - core.movedAt > answerMsMax) this.#ask(node, core);
    }
  }

  #lose(node: string, core: Followed, how: 'silent' | 'left'): void {
    this.#cores.delete(node);
    this.#log.info({ core: core.coreId, how }, 'another core tells no more of its sessions');
    for (const holder of core.holders) this.#hooks.release(node, holder);
    // It may be here again already, as another run.
    const again = [...this.#cores.values()].find(({ coreId }) => coreId === core.coreId);
    if (again === undefined) this.#hooks.standing(core.coreId, how);
    else this.#hooks.standing(core.coreId, again.progress === 'whole' ? 'whole' : 'behind');
  }
}
