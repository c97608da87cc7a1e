/**
 * What the edge wants from the core: the snapshot of a new link, then changes gathered over one
 * turn. Whoever waits for a filter hears when every lane has reached the version that carries it.
 */
import type { Clock } from '../base/clock.ts';
import { laneCount } from '../base/limits.ts';
import type { InterestUpdate } from '../proto/gen/trunkline/v1/trunk.ts';

/** A SUBACK must not wait for a core that is slow to answer. */
const patienceMs = 2_000;

/** 'renewed': given up and wanted again within one turn, which calls for its retained messages. */
type Change = 'wanted' | 'unwanted' | 'renewed';

interface Waiter {
  readonly version: number;
  readonly finish: (isReached: boolean) => void;
}

export class Interest {
  readonly #clock: Clock;
  readonly #announced = new Set<string>();
  readonly #changes = new Map<string, Change>();
  readonly #reached: number[] = new Array(laneCount).fill(0);
  readonly #waiters = new Set<Waiter>();
  #send: ((update: InterestUpdate) => void) | null = null;
  #version = 0;
  #turn: NodeJS.Immediate | null = null;
  /** Called with the version that covers them when the changes of this turn are sent; 0 when the
   * link goes before that. */
  #gathered: ((version: number) => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#announced.size;
  }

  /** A link is up: everything that is wanted, then changes as they come. */
  attach(filters: Iterable<string>, send: (update: InterestUpdate) => void): void {
    this.#version = 1;
    this.#reached.fill(0);
    this.#announced.clear();
    for (const filter of filters) this.#announced.add(filter);
    this.#send = send;
    send({ version: 1, snapshot: true, added: [...this.#announced], removed: [] });
  }

  /** The link is gone: nobody waits for it any longer. */
  detach(): void {
    this.#send = null;
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#turn = null;
    this.#changes.clear();
    for (const resume of this.#gathered.splice(0)) resume(0);
    for (const waiter of [...this.#waiters]) waiter.finish(false);
  }

  /** True when the core's retained messages for the filter have arrived; false when there is no
   * core, or it does not answer in time. */
  async want(filter: string): Promise<boolean> {
    if (this.#send === null) return false;
    this.#change(filter, true);
    const version = await new Promise<number>((resolve) => this.#gathered.push(resolve));
    if (version === 0) return false;
    return version <= this.#lowest() || (await this.#wait(version));
  }

  unwant(filter: string): void {
    if (this.#send !== null) this.#change(filter, false);
  }

  /** A lane has passed on everything that belongs to a version. */
  reached(lane: number, version: number): void {
    this.#reached[lane] = version;
    const lowest = this.#lowest();
    for (const waiter of [...this.#waiters]) if (waiter.version <= lowest) waiter.finish(true);
  }

  #lowest(): number {
    return Math.min(...this.#reached);
  }

  #change(filter: string, isWanted: boolean): void {
    const earlier = this.#changes.get(filter);
    const isRenewed = isWanted && (earlier === 'unwanted' || earlier === 'renewed');
    const change = isWanted ? 'wanted' : 'unwanted';
    this.#changes.set(filter, isRenewed ? 'renewed' : change);
    this.#turn ??= setImmediate(() => {
      this.#turn = null;
      this.#flush();
    });
  }

  #flush(): void {
    const added: string[] = [];
    const removed: string[] = [];
    for (const [filter, change] of this.#changes) {
      const isAnnounced = this.#announced.has(filter);
      if (isAnnounced && change !== 'wanted') {
        this.#announced.delete(filter);
        removed.push(filter);
      }
      if (change === 'renewed' || (change === 'wanted' && !isAnnounced)) {
        this.#announced.add(filter);
        added.push(filter);
      }
    }
    this.#changes.clear();
    if (added.length + removed.length > 0) {
      this.#version++;
      this.#send?.({ version: this.#version, snapshot: false, added, removed });
    }
    for (const resume of this.#gathered.splice(0)) resume(this.#version);
  }

  #wait(version: number): Promise<boolean> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        version,
        finish: (isReached) => {
          cancel();
          this.#waiters.delete(waiter);
          resolve(isReached);
        },
      };
      const cancel = this.#clock.after(patienceMs, () => waiter.finish(false));
      this.#waiters.add(waiter);
    });
  }
}
