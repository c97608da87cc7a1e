/**
 * What comes down the trunk, handed to the sessions here. What a kept session needs is in the spool
 * before the position is acknowledged; positions that were seen before are dropped and counted.
 */
import type { Ledger } from '../base/ledger.ts';
import type { Publication } from '../base/publication.ts';
import type { Acceptance } from './acceptance.ts';
import type { Retained } from './routing/retained.ts';
import type { Router } from './routing/router.ts';

export interface DownlinkParts {
  readonly ledger: Ledger;
  readonly acceptance: Acceptance;
  readonly router: Router;
  readonly retained: Retained;
}

interface Item {
  readonly publication: Publication;
  readonly position: number;
}

export class Downlink {
  readonly #parts: DownlinkParts;
  /** Per lane: the highest position handled, and the log that it counts in. */
  readonly #seen = new Map<number, { logEpoch: string; position: number }>();

  constructor(parts: DownlinkParts) {
    this.#parts = parts;
  }

  /** Where an earlier run stopped. */
  restore(lane: number, at: { logEpoch: string; position: number }): void {
    this.#seen.set(lane, { ...at });
  }

  async deliver(
    from: { readonly lane: number; readonly logEpoch: string },
    items: readonly Item[],
  ): Promise<void> {
    const fresh = items.filter((item) => this.#isNew(from, item));
    const needsLog = fresh.some(
      ({ publication, position }) => position > 0 && this.#parts.router.needsLog(publication),
    );
    if (!needsLog) {
      for (const item of fresh) this.#route(item);
      return;
    }
    // All of the batch, so that its order holds.
    await Promise.all(fresh.map((item) => this.#spool(from, item)));
  }

  #isNew(from: { lane: number; logEpoch: string }, { position }: Item): boolean {
    if (position === 0) return true;
    const seen = this.#seen.get(from.lane);
    if (seen?.logEpoch !== from.logEpoch) {
      this.#seen.set(from.lane, { logEpoch: from.logEpoch, position });
      return true;
    }
    if (position <= seen.position) {
      this.#parts.ledger.repeats.add();
      return false;
    }
    seen.position = position;
    return true;
  }

  #route({ publication, position }: Item): void {
    // Retained without a position answers our new interest: it is state, not news.
    if (publication.retain && position === 0) this.#parts.retained.set(publication, 0);
    else this.#parts.router.route(publication, 0);
  }

  #spool(from: { lane: number; logEpoch: string }, item: Item): Promise<void> {
    const { publication, position } = item;
    if (position === 0) {
      this.#route(item);
      return Promise.resolve();
    }
    const source = { kind: 'trunk', ...from, position } as const;
    return new Promise((resolve) => {
      this.#parts.acceptance.publish(publication, { source, clientId: '', packetId: 0 }, resolve);
    });
  }
}
