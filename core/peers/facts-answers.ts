/**
 * Answers other cores that ask for the sessions of this one, one at a time and at a pace, from the
 * index. What changes meanwhile they hear like everybody; each part says as of which message it is.
 */
import type { Clock } from '../../base/clock.ts';
import type { Counter, Metrics } from '../../base/metrics.ts';
import { CoreFacts, type HolderFacts } from '../../proto/gen/trunkline/v1/cores.ts';
import type { PeerChannel } from '../backplane/backplane.ts';
import { heldRows } from '../sessions/held-rows.ts';
import type { SessionIndex } from '../sessions/session-index.ts';
import { emptyFacts, emptyHolder, type FactsOutbox } from './facts-outbox.ts';
import { FactsSize, fitted, sessionBytes } from './facts-size.ts';
import type { LocalHolder, LocalHolders } from './local-holders.ts';

/** 25,000 sessions a second, which leaves the rest of a core its time. */
const partMs = 10;
/** Rounds in which a holder that is being told anew by its edge is left for later. */
const deferralsMax = 200;

interface OpenHolder {
  readonly holder: LocalHolder;
  /** Its rows carry it. */
  readonly number: number;
  readonly rows: readonly number[];
  readonly renewals: number;
  at: number;
}

interface Work {
  readonly node: string;
  /** Asked for all there is. */
  readonly isWhole: boolean;
  readonly holders: string[];
  isBegun: boolean;
  deferrals: number;
  open: OpenHolder | null;
}

export interface FactsAnswersParts {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly channel: PeerChannel;
  readonly index: SessionIndex;
  readonly outbox: FactsOutbox;
  readonly local: LocalHolders;
}

export class FactsAnswers {
  readonly #parts: FactsAnswersParts;
  readonly #who: { readonly node: string; readonly coreId: string };
  /** By who asked; null for all holders. */
  readonly #asked = new Map<string, Set<string> | null>();
  readonly #answered: Counter;
  #work: Work | null = null;
  #cancel: (() => void) | null = null;

  constructor(parts: FactsAnswersParts, who: { readonly node: string; readonly coreId: string }) {
    this.#parts = parts;
    this.#who = who;
    this.#answered = parts.metrics.counter(
      'trunkline_peer_facts_answers_total',
      'Times that another core was told all that it asked for about sessions here.',
    );
  }

  ask(node: string, holders: readonly string[]): void {
    if (holders.length === 0) {
      // Whoever asks for all again has missed something of the answer.
      if (this.#work?.node === node && this.#work.isWhole) this.#work = null;
      this.#asked.set(node, null);
    } else {
      const present = this.#asked.get(node);
      if (present !== null) this.#asked.set(node, new Set([...(present ?? []), ...holders]));
    }
    this.#plan();
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#asked.clear();
    this.#work = null;
  }

  #plan(): void {
    if (this.#work === null && this.#asked.size === 0) return;
    this.#cancel ??= this.#parts.clock.after(partMs, () => {
      this.#cancel = null;
      this.#step();
      this.#plan();
    });
  }

  #step(): void {
    this.#work ??= this.#next();
    const work = this.#work;
    if (work === null) return;
    // What the part shows is told to all before it.
    const sequence = this.#parts.outbox.flush();
    const holders = this.#part(work);
    const isLast = work.open === null && work.holders.length === 0;
    const message: CoreFacts = {
      ...emptyFacts(this.#who),
      sequence,
      holders,
      answer: true,
      snapshotBegin: work.isWhole && !work.isBegun,
      snapshotEnd: work.isWhole && isLast,
    };
    work.isBegun = true;
    const isSent = this.#parts.channel.tell(work.node, CoreFacts.encode(message).finish());
    if (isSent && isLast) this.#answered.add();
    // Who does not get it asks again.
    if (!isSent || isLast) this.#work = null;
  }

  #next(): Work | null {
    for (const [node, wanted] of this.#asked) {
      this.#asked.delete(node);
      const own = this.#parts.local.ids();
      const holders = wanted === null ? own : own.filter((id) => wanted.has(id));
      const rest = { isBegun: false, deferrals: 0, open: null };
      return { node, isWhole: wanted === null, holders, ...rest };
    }
    return null;
  }

  #part(work: Work): HolderFacts[] {
    const told: HolderFacts[] = [];
    const size = new FactsSize();
    while (!size.overflows(0)) {
      if (work.open === null && !this.#openNext(work)) break;
      const { open } = work;
      if (open === null) continue;
      const facts = this.#beginning(open);
      told.push(facts);
      size.add(0);
      this.#fill(facts, open, size);
      if (open.at < open.rows.length) break;
      // When the edge has begun to tell all anew, that ends it.
      facts.snapshotEnd = open.renewals === open.holder.renewals;
      work.open = null;
    }
    return told;
  }

  /** False when none is left, or each of those that are waits for its edge. */
  #openNext(work: Work): boolean {
    const id = work.holders.shift();
    if (id === undefined) return false;
    const holder = this.#parts.local.get(id);
    if (holder === undefined) return true;
    if (holder.isRenewing && work.deferrals < deferralsMax) {
      work.deferrals++;
      work.holders.push(id);
      return false;
    }
    const { index } = this.#parts;
    const number = index.holderNumber(id);
    // 0 is also that of rows which nobody has.
    const rows = number === 0 ? [] : heldRows(index.table, number);
    work.open = { holder, number, rows, at: 0, renewals: holder.renewals };
    return true;
  }

  #beginning({ at, holder }: OpenHolder): HolderFacts {
    const facts = emptyHolder(holder.id);
    if (at > 0) return facts;
    const { claim, interestCount, stats } = holder;
    const { region, softwareVersion, stamp } = claim;
    return {
      ...facts,
      claim: stamp,
      region,
      softwareVersion,
      stats,
      interestCount,
      snapshotBegin: true,
    };
  }

  #fill(facts: HolderFacts, open: OpenHolder, size: FactsSize): void {
    const { table } = this.#parts.index;
    for (; open.at < open.rows.length; open.at++) {
      const row = open.rows[open.at] as number;
      // It may be another's by now.
      if (table.holder.get(row) !== open.number) continue;
      const own = fitted(table.read(row));
      const bytes = sessionBytes(own);
      if (size.overflows(bytes)) return;
      size.add(bytes);
      facts.changed.push(own);
    }
  }
}
