/**
 * Which filters are wanted, seen from each listener: a filter counts when any other than itself
 * wants it. So an edge can leave at home what nobody else asked for.
 */
export type WantedListener = (filter: string, isWanted: boolean) => void;

export class WantedFilters {
  readonly #holders = new Map<string, Set<string>>();
  readonly #listeners = new Map<string, WantedListener>();

  add(filter: string, holder: string): void {
    let holders = this.#holders.get(filter);
    if (holders === undefined) {
      holders = new Set();
      this.#holders.set(filter, holders);
    }
    if (holders.has(holder)) return;
    this.#tell(filter, { holders, changing: holder, isWanted: true });
    holders.add(holder);
  }

  remove(filter: string, holder: string): void {
    const holders = this.#holders.get(filter);
    if (holders?.delete(holder) !== true) return;
    if (holders.size === 0) this.#holders.delete(filter);
    this.#tell(filter, { holders, changing: holder, isWanted: false });
  }

  /** What others than `id` want now; `listener` hears of each change from here on. */
  listen(id: string, listener: WantedListener): string[] {
    this.#listeners.set(id, listener);
    const wanted: string[] = [];
    for (const [filter, holders] of this.#holders) {
      if (holders.size > 1 || !holders.has(id)) wanted.push(filter);
    }
    return wanted;
  }

  unlisten(id: string, listener: WantedListener): void {
    if (this.#listeners.get(id) === listener) this.#listeners.delete(id);
  }

  /** `holders` are the others: without the one that comes or goes. */
  #tell(
    filter: string,
    change: { holders: ReadonlySet<string>; changing: string; isWanted: boolean },
  ): void {
    const { holders, changing, isWanted } = change;
    if (holders.size > 1) return;
    if (holders.size === 1) {
      // Only the one that held it alone sees a difference; the rest saw that one already.
      for (const holder of holders) this.#listeners.get(holder)?.(filter, isWanted);
      return;
    }
    for (const [id, listener] of this.#listeners) {
      if (id !== changing) listener(filter, isWanted);
    }
  }
}
