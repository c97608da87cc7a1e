/**
 * What comes down the trunk, handed to the sessions here. What a kept session needs is in the spool
 * before the promise resolves, and only then is the position acknowledged. The bridge has dropped
 * what was seen before.
 */
import type { Publication } from '../base/publication.ts';
import type { SourcePlace } from '../base/source.ts';
import type { Acceptance } from './acceptance.ts';
import type { Retained } from './routing/retained.ts';
import type { Router } from './routing/router.ts';

export interface DownlinkParts {
  readonly acceptance: Acceptance;
  readonly router: Router;
  readonly retained: Retained;
}

interface Item {
  readonly publication: Publication;
  readonly position: number;
  readonly from: SourcePlace | null;
}

export class Downlink {
  readonly #parts: DownlinkParts;

  constructor(parts: DownlinkParts) {
    this.#parts = parts;
  }

  async deliver(
    from: { readonly lane: number; readonly logEpoch: string },
    items: readonly Item[],
  ): Promise<void> {
    const needsLog = items.some(
      ({ publication, position }) => position > 0 && this.#parts.router.needsLog(publication),
    );
    if (!needsLog) {
      for (const item of items) this.#route(item);
      return;
    }
    // All of them, so that their order holds.
    let before = Promise.resolve();
    for (const item of items) {
      if (item.position > 0) before = this.#spool(from, item);
      else if (item.publication.retain) before = before.then(() => this.#route(item));
      else this.#route(item);
    }
    await before;
  }

  #route({ publication, position }: Item): void {
    // Retained without a position answers our new interest: it is state, not news.
    if (publication.retain && position === 0) this.#parts.retained.confirm(publication);
    else this.#parts.router.route(publication, fromElsewhere);
  }

  #spool(from: { lane: number; logEpoch: string }, item: Item): Promise<void> {
    const { from: entered, publication, position } = item;
    const { lane, logEpoch } = from;
    const source = { kind: 'trunk', lane, logEpoch, position, from: entered } as const;
    return new Promise((resolve) => {
      const from = { source, clientId: '', packetId: 0, publisher: null };
      this.#parts.acceptance.publish(publication, from, resolve);
    });
  }
}

const fromElsewhere = { sequence: 0, publisher: null } as const;
