/**
 * Which core speaks for whom. An edge is attached to one core at a time, but for a moment after it
 * moved: then the later claim counts, and at the core that has a link of its own to it, that one.
 */

export interface Claim {
  /** Higher than that of every claim which this core knew of when it made its own. */
  readonly stamp: number;
  readonly region: string;
  readonly softwareVersion: string;
}

/** Bounds what another core can make this one remember. */
const holdersMax = 20_000;

export interface SourcesHooks {
  /** Another core speaks for it from now on. */
  began(holder: string, claim: Claim): void;
  /** It does not any more. */
  ended(holder: string): void;
}

export class Sources {
  readonly #node: string;
  readonly #hooks: SourcesHooks;
  readonly #claims = new Map<string, Map<string, Claim>>();
  readonly #present = new Map<string, string>();

  constructor(node: string, hooks: SourcesHooks) {
    this.#node = node;
    this.#hooks = hooks;
  }

  /** The stamp of a claim that is to count from now on. */
  nextStamp(holder: string, now: number): number {
    const stamps = [...(this.#claims.get(holder)?.values() ?? [])].map(({ stamp }) => stamp);
    return Math.max(now, ...stamps.map((stamp) => stamp + 1));
  }

  isSource(holder: string, node: string): boolean {
    return this.#present.get(holder) === node;
  }

  claim(holder: string, node: string, claim: Claim): void {
    let claims = this.#claims.get(holder);
    if (claims === undefined) {
      if (this.#claims.size >= holdersMax && node !== this.#node) return;
      claims = new Map();
      this.#claims.set(holder, claims);
    }
    claims.set(node, claim);
    this.#settle(holder, claims);
  }

  /** Answers who speaks for it now in place of that core; null when nothing changes, or nobody does. */
  release(holder: string, node: string): string | null {
    const claims = this.#claims.get(holder);
    if (claims?.delete(node) !== true) return null;
    if (claims.size === 0) this.#claims.delete(holder);
    return this.#settle(holder, claims);
  }

  #settle(holder: string, claims: ReadonlyMap<string, Claim>): string | null {
    const before = this.#present.get(holder) ?? null;
    const best = this.#best(claims);
    if (best === before) return null;
    if (before !== null && before !== this.#node) this.#hooks.ended(holder);
    if (best === null) this.#present.delete(holder);
    else this.#present.set(holder, best);
    if (best === null || best === this.#node) return null;
    this.#hooks.began(holder, claims.get(best) as Claim);
    return best;
  }

  #best(claims: ReadonlyMap<string, Claim>): string | null {
    if (claims.has(this.#node)) return this.#node;
    let best: string | null = null;
    let stamp = -1;
    for (const [node, claim] of claims) {
      if (claim.stamp < stamp || (claim.stamp === stamp && node < (best ?? ''))) continue;
      best = node;
      stamp = claim.stamp;
    }
    return best;
  }
}
