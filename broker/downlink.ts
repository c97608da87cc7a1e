/**
 * What comes down the trunk, handed to the sessions here. What a kept session needs is in the spool
 * before the promise resolves, and only then is the position acknowledged. The bridge has dropped
 * what was seen before. Publications that came one behind the other on one topic go on as a run.
 */
import { type Publication, publicationBytes } from '../base/publication.ts';
import type { SourcePlace } from '../base/source.ts';
import { canJoin, joinedRun } from '../proto/joined-run.ts';
import type { Acceptance } from './acceptance.ts';
import type { SpoolSource } from './ports.ts';
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

/** Items that can go on together, at least one; the first tells what they have in common. */
interface Stretch {
  readonly first: Item;
  readonly publications: Publication[];
}

/** What waits for a session is a view of its run: a larger one would be copied out message by message
 * so that it does not keep the whole. */
const stretchBytesMax = 4_000;

export class Downlink {
  readonly #parts: DownlinkParts;

  constructor(parts: DownlinkParts) {
    this.#parts = parts;
  }

  async deliver(
    from: { readonly lane: number; readonly logEpoch: string },
    items: readonly Item[],
  ): Promise<void> {
    const stretches = stretchesOf(items);
    const needsLog = stretches.some(
      ({ first }) => first.position > 0 && this.#parts.router.needsLog(first.publication),
    );
    if (!needsLog) {
      for (const stretch of stretches) this.#route(stretch);
      return;
    }
    // All of them, so that their order holds.
    let before = Promise.resolve();
    for (const stretch of stretches) {
      const { position, publication } = stretch.first;
      if (position > 0) before = this.#spool(from, stretch);
      else if (publication.retain) before = before.then(() => this.#route(stretch));
      else this.#route(stretch);
    }
    await before;
  }

  #route({ first, publications }: Stretch): void {
    const { retained, router } = this.#parts;
    const { position, publication } = first;
    if (publications.length > 1) router.routeRun(joinedRun(publications), fromElsewhere);
    // Retained without a position answers our new interest: it is state, not news.
    else if (publication.retain && position === 0) retained.confirm(publication);
    else router.route(publication, fromElsewhere);
  }

  #spool(
    { lane, logEpoch }: { lane: number; logEpoch: string },
    { first, publications }: Stretch,
  ): Promise<void> {
    const { acceptance } = this.#parts;
    const { from: entered, publication, position } = first;
    const source: SpoolSource = { kind: 'trunk', lane, logEpoch, position, from: entered };
    return new Promise((resolve) => {
      const from = { source, clientId: '', packetId: 0, publisher: null };
      if (publications.length === 1) acceptance.publish(publication, from, resolve);
      else acceptance.publishRun(joinedRun(publications), from, resolve);
    });
  }
}

const fromElsewhere = { sequence: 0, publisher: null } as const;

function stretchesOf(items: readonly Item[]): Stretch[] {
  const stretches: Stretch[] = [];
  let open: Stretch | null = null;
  let last: Item | null = null;
  let bytes = 0;
  for (const item of items) {
    bytes += publicationBytes(item.publication);
    if (open !== null && last !== null && bytes <= stretchBytesMax && follows(last, item)) {
      open.publications.push(item.publication);
    } else {
      bytes = publicationBytes(item.publication);
      open = { first: item, publications: [item.publication] };
      stretches.push(open);
    }
    last = item;
  }
  return stretches;
}

/** The next of the same stretch: in the log, and where both entered, nothing is between them. */
function follows(last: Item, item: Item): boolean {
  return (
    item.position === (last.position === 0 ? 0 : last.position + 1) &&
    isNextPlace(last.from, item.from) &&
    canJoin(last.publication, item.publication)
  );
}

function isNextPlace(last: SourcePlace | null, next: SourcePlace | null): boolean {
  if (last === null || next === null) return last === next;
  return last.source === next.source && next.sequence === last.sequence + 1;
}
