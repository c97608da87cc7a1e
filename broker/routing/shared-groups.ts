/**
 * Every shared subscription of the edge by its whole filter, `$share/{group}/{filter}`, and what is
 * written down of them.
 */
import type { Logger } from '../../base/log.ts';
import type { Parking } from '../parking.ts';
import type { MessageLog } from '../ports.ts';
import { SessionJournal } from '../session-journal.ts';
import type { StateStore } from '../store/state-store.ts';
import { SharedGroup } from './shared-group.ts';
import type { SharedStrategy } from './shared-members.ts';

interface SharedGroupRow {
  readonly name: string;
  readonly settled_through: number;
}

interface SharedSettledRow {
  readonly name: string;
  readonly sequence: number;
}

export interface SharedGroupsParts {
  readonly log: Logger;
  readonly store: StateStore;
  readonly messageLog: Pick<MessageLog, 'acceptedThrough'>;
  readonly parking: Pick<Parking, 'release'>;
}

export class SharedGroups {
  readonly #parts: SharedGroupsParts;
  readonly #strategy: SharedStrategy;
  readonly #groups = new Map<string, SharedGroup>();

  constructor(parts: SharedGroupsParts, strategy: SharedStrategy) {
    this.#parts = parts;
    this.#strategy = strategy;
  }

  get(name: string): SharedGroup | undefined {
    return this.#groups.get(name);
  }

  /** The group of this name, which begins when it is not there. */
  obtain(name: string): SharedGroup {
    return this.#groups.get(name) ?? this.#open(name, null);
  }

  /** What they owe must stay in the log, or be parked. */
  *journals(): Iterable<SessionJournal> {
    for (const { journal } of this.#groups.values()) if (journal !== null) yield journal;
  }

  /** Groups of an earlier run; their members come with their subscriptions. */
  async restore(): Promise<void> {
    const { store } = this.#parts;
    const ahead = new Map<string, Set<number>>();
    for (const row of await store.load<SharedSettledRow>(store.sharedSettled)) {
      const known = ahead.get(row.name) ?? new Set();
      ahead.set(row.name, known.add(row.sequence));
    }
    for (const row of await store.load<SharedGroupRow>(store.sharedGroups)) {
      const settled = { settledThrough: row.settled_through, ahead: ahead.get(row.name) };
      this.#open(row.name, settled);
    }
  }

  /** The subscriptions are back: what has no members is over. */
  endIdle(): void {
    for (const group of this.#groups.values()) if (group.isIdle) this.#end(group);
  }

  #open(
    name: string,
    settled: { settledThrough: number; ahead: Set<number> | undefined } | null,
  ): SharedGroup {
    const group: SharedGroup = new SharedGroup(
      {
        strategy: this.#strategy,
        openJournal: () => {
          const settledThrough = this.#parts.messageLog.acceptedThrough;
          this.#save(name, settledThrough);
          return this.#journal(name, { settledThrough, ahead: undefined });
        },
        onIdle: () => this.#end(group),
      },
      name,
      settled === null ? null : this.#journal(name, settled),
    );
    this.#groups.set(name, group);
    return group;
  }

  #journal(
    name: string,
    settled: { settledThrough: number; ahead: Set<number> | undefined },
  ): SessionJournal {
    const { store, parking, log } = this.#parts;
    return new SessionJournal(
      {
        store: {
          inflight: store.inflight,
          settled: store.sharedSettled,
          received: store.received,
          commit: () => store.commit(),
        },
        saveSettled: (through) => this.#save(name, through),
        onSettled: (sequence) => parking.release(sequence),
        onFailure: (error) => log.error({ err: error, filter: name }, 'state store failed'),
      },
      {
        clientId: name,
        settledThrough: settled.settledThrough,
        ahead: settled.ahead ?? new Set(),
      },
    );
  }

  #save(name: string, settledThrough: number): void {
    this.#parts.store.sharedGroups.put([name, settledThrough]);
  }

  #end(group: SharedGroup): void {
    const { name } = group;
    // A later group of the same name may be there already.
    if (this.#groups.get(name) !== group) return;
    this.#groups.delete(name);
    group.journal?.end();
    this.#parts.store.dropGroup(name);
  }
}
