/**
 * What the edge wants from the core: the snapshot of a new link, then changes gathered over one
 * turn. The broker names filters as topics are called here; the core is asked for what the rules make
 * of them. Whoever waits for a filter hears when every lane has reached the version that carries it.
 */
import type { Clock } from '../base/clock.ts';
import { laneCount } from '../base/limits.ts';
import { topicMatches } from '../base/topic.ts';
import type { InterestUpdate } from '../proto/gen/trunkline/v1/trunk.ts';
import type { Confirmed, LocalDelivery } from './ports.ts';
import type { EdgeRules } from './rules/edge-rules.ts';

/** A SUBACK must not wait for a core that is slow to answer. */
const patienceMs = 2_000;

/** 'renewed': given up and wanted again within one turn, which calls for its retained messages. */
type Change = 'wanted' | 'unwanted' | 'renewed';

interface Waiter {
  readonly version: number;
  readonly finish: (isReached: boolean) => void;
}

/** What an update asked for, and when it is answered. Version 0: the link went before. */
interface Gathered {
  readonly version: number;
  readonly fresh: ReadonlySet<string>;
}

export interface InterestLink {
  send(update: InterestUpdate): void;
  /** Whether the core's log is the one that this edge knows: what it does not name was deleted. */
  readonly isKnownLog: boolean;
}

type Source = Pick<LocalDelivery, 'wantedFilters' | 'beginRetainedSync'>;

export class Interest {
  readonly #clock: Clock;
  readonly #rules: EdgeRules;
  /** As they are called here, and how many of them want each filter of the core. */
  readonly #wanted = new Set<string>();
  readonly #announced = new Map<string, number>();
  readonly #changes = new Map<string, Change>();
  readonly #reached: number[] = new Array(laneCount).fill(0);
  readonly #waiters = new Set<Waiter>();
  #source: Source | null = null;
  #link: InterestLink | null = null;
  #version = 0;
  #turn: NodeJS.Immediate | null = null;
  /** Called when the changes of this turn are sent. */
  #gathered: ((gathered: Gathered) => void)[] = [];

  constructor(clock: Clock, rules: EdgeRules) {
    this.#clock = clock;
    this.#rules = rules;
    rules.onChanged(() => this.#rulesChanged());
  }

  /** Filters that the core was asked for. */
  get size(): number {
    return this.#announced.size;
  }

  /** A link is up: everything that is wanted, then changes as they come. */
  attach(source: Source, link: InterestLink): void {
    this.#version = 0;
    this.#reached.fill(0);
    this.#source = source;
    this.#link = link;
    this.#announced.clear();
    this.#announceAll(source, link);
  }

  /** The link is gone: nobody waits for it any longer. */
  detach(): void {
    this.#link = null;
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#turn = null;
    this.#changes.clear();
    for (const resume of this.#gathered.splice(0)) resume({ version: 0, fresh: new Set() });
    for (const waiter of [...this.#waiters]) waiter.finish(false);
  }

  /** What the core has confirmed, when its retained messages for the filter have arrived; null when
   * there is no core, or it does not answer in time. */
  async want(filter: string): Promise<Confirmed | null> {
    if (this.#link === null) return null;
    this.#change(filter, true);
    const { version, fresh } = await new Promise<Gathered>((resolve) => {
      this.#gathered.push(resolve);
    });
    if (version === 0 || !(await this.#isReached(version))) return null;
    return this.#confirmedBy(fresh);
  }

  unwant(filter: string): void {
    if (this.#link !== null) this.#change(filter, false);
  }

  /** A lane has passed on everything that belongs to a version. */
  reached(lane: number, version: number): void {
    // Streams beyond the lanes of the log are for the way up.
    if (lane >= laneCount) return;
    this.#reached[lane] = version;
    const lowest = this.#lowest();
    for (const waiter of [...this.#waiters]) if (waiter.version <= lowest) waiter.finish(true);
  }

  #lowest(): number {
    return Math.min(...this.#reached);
  }

  /** A snapshot. Of what was not announced before, the core answers with its retained messages, and
   * what it does not name with them is dropped here. */
  #announceAll(source: Source, link: InterestLink): ReadonlySet<string> {
    const before = new Set(this.#announced.keys());
    this.#wanted.clear();
    this.#announced.clear();
    for (const filter of source.wantedFilters()) this.#obtain(filter);
    const added = [...this.#announced.keys()];
    const fresh = new Set(added.filter((name) => !before.has(name)));
    const finish = source.beginRetainedSync(link.isKnownLog);
    const version = ++this.#version;
    link.send({ version, snapshot: true, added, removed: [] });
    const confirmed = this.#confirmedBy(fresh.size === added.length ? null : fresh);
    const done = (isReached: boolean) => finish(isReached ? confirmed : null);
    this.#wait(version, null).then(done, () => done(false));
    return fresh;
  }

  /** Changes that wait are in what the broker names now. */
  #rulesChanged(): void {
    if (this.#link === null || this.#source === null) return;
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#turn = null;
    this.#changes.clear();
    const fresh = this.#announceAll(this.#source, this.#link);
    for (const resume of this.#gathered.splice(0)) resume({ version: this.#version, fresh });
  }

  /** `fresh`: the filters that were asked for; null for all of them. */
  #confirmedBy(fresh: ReadonlySet<string> | null): Confirmed {
    const { topics } = this.#rules;
    if (!topics.hasDown && !topics.hasUp) return () => true;
    const filters = fresh === null ? null : [...fresh];
    return (topic, isOwn) => {
      const name = topics.above(topic);
      if (name === null || (isOwn && topics.up(topic)?.topic !== name)) return false;
      return filters?.some((filter) => topicMatches(filter, name)) ?? true;
    };
  }

  #change(filter: string, isWanted: boolean): void {
    const earlier = this.#changes.get(filter);
    const isRenewed = isWanted && (earlier === 'unwanted' || earlier === 'renewed');
    const change = isWanted ? 'wanted' : 'unwanted';
    this.#changes.set(filter, isRenewed ? 'renewed' : change);
    this.#turn ??= setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#turn = null;
    const added = new Set<string>();
    const removed = new Set<string>();
    // First what is given up: what one filter gives up and another takes up comes anew.
    for (const [filter, change] of this.#changes) {
      if (change !== 'wanted') for (const name of this.#release(filter)) removed.add(name);
    }
    for (const [filter, change] of this.#changes) {
      if (change !== 'unwanted') for (const name of this.#obtain(filter)) added.add(name);
    }
    this.#changes.clear();
    if (added.size + removed.size > 0) {
      this.#version++;
      const change = { version: this.#version, snapshot: false };
      this.#link?.send({ ...change, added: [...added], removed: [...removed] });
    }
    const gathered = { version: this.#version, fresh: added };
    for (const resume of this.#gathered.splice(0)) resume(gathered);
  }

  /** The filters of the core that nobody wanted before. */
  #obtain(filter: string): string[] {
    if (this.#wanted.has(filter)) return [];
    this.#wanted.add(filter);
    return this.#rules.topics.interest(filter).filter((name) => {
      const count = this.#announced.get(name) ?? 0;
      this.#announced.set(name, count + 1);
      return count === 0;
    });
  }

  /** The filters of the core that nobody wants any more. */
  #release(filter: string): string[] {
    if (!this.#wanted.delete(filter)) return [];
    return this.#rules.topics.interest(filter).filter((name) => {
      const count = (this.#announced.get(name) ?? 1) - 1;
      if (count > 0) this.#announced.set(name, count);
      else this.#announced.delete(name);
      return count === 0;
    });
  }

  async #isReached(version: number): Promise<boolean> {
    return version <= this.#lowest() || (await this.#wait(version, patienceMs));
  }

  /** `patience` null: as long as the link lasts. */
  #wait(version: number, patience: number | null): Promise<boolean> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        version,
        finish: (isReached) => {
          cancel();
          this.#waiters.delete(waiter);
          resolve(isReached);
        },
      };
      const cancel =
        patience === null ? () => {} : this.#clock.after(patience, () => waiter.finish(false));
      this.#waiters.add(waiter);
    });
  }
}
