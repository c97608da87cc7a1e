/** Who holds sessions at this core: the edges that are attached to it, and itself for its gateways. */
import type { EdgeStats } from '../../proto/gen/trunkline/v1/trunk.ts';
import type { Claim } from './sources.ts';

export interface LocalHolder {
  readonly id: string;
  claim: Claim;
  /** A new link may come before the old one is known to be dead. */
  links: number;
  /** It tells all its sessions anew. */
  isRenewing: boolean;
  /** How often it has begun to. */
  renewals: number;
  stats: EdgeStats | undefined;
  interestCount: number | undefined;
}

export class LocalHolders {
  readonly #holders = new Map<string, LocalHolder>();

  ids(): string[] {
    return [...this.#holders.keys()];
  }

  get(id: string): LocalHolder | undefined {
    return this.#holders.get(id);
  }

  attach(id: string, claim: Claim): LocalHolder {
    let holder = this.#holders.get(id);
    if (holder === undefined) {
      const nothing = { stats: undefined, interestCount: undefined };
      holder = { id, claim, links: 0, isRenewing: false, renewals: 0, ...nothing };
      this.#holders.set(id, holder);
    }
    holder.claim = claim;
    holder.links++;
    holder.isRenewing = false;
    return holder;
  }

  /** Whether that was its last link. */
  detach(id: string): boolean {
    const holder = this.#holders.get(id);
    if (holder === undefined) return false;
    holder.links--;
    if (holder.links > 0) return false;
    return this.#holders.delete(id);
  }
}
