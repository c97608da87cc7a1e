/**
 * QoS 0 between cores: each core tells the others what is wanted from it, and stands among the
 * targets of theirs. What comes from a core goes to no other.
 */
import type { Publication } from '../../base/publication.ts';
import type { PeerCores } from '../backplane/backplane.ts';
import type { FanoutAttachment, FanoutTarget } from './target.ts';

export interface PeerHooks {
  attach(target: FanoutTarget): FanoutAttachment;
  /** To everyone at this core who wants it. */
  route(publications: readonly Publication[]): void;
}

interface Peer {
  readonly attachment: FanoutAttachment;
  filters: ReadonlySet<string>;
}

export class PeerInterest {
  readonly #cores: PeerCores;
  readonly #hooks: PeerHooks;
  readonly #peers = new Map<string, Peer>();
  /** What is wanted here, and by how many. */
  readonly #wanted = new Map<string, number>();
  readonly #all = () => this.#wanted.keys();

  constructor(cores: PeerCores, hooks: PeerHooks) {
    this.#cores = cores;
    this.#hooks = hooks;
    cores.onPublications((publications) => hooks.route(publications));
    cores.onWanted((peer, filters) => this.#peerWants(peer, filters));
  }

  want(filter: string): void {
    const holders = this.#wanted.get(filter) ?? 0;
    this.#wanted.set(filter, holders + 1);
    if (holders === 0) this.#cores.announce(this.#all);
  }

  unwant(filter: string): void {
    const holders = this.#wanted.get(filter) ?? 0;
    if (holders > 1) {
      this.#wanted.set(filter, holders - 1);
      return;
    }
    this.#wanted.delete(filter);
    this.#cores.announce(this.#all);
  }

  #peerWants(name: string, filters: ReadonlySet<string> | null): void {
    let peer = this.#peers.get(name);
    if (filters === null) {
      peer?.attachment.detach();
      this.#peers.delete(name);
      return;
    }
    if (peer === undefined) {
      const deliver = (publications: readonly Publication[]) =>
        this.#cores.send(name, publications);
      // No edge has a name with a space in it.
      peer = {
        attachment: this.#hooks.attach({ id: `core ${name}`, deliver }),
        filters: new Set(),
      };
      this.#peers.set(name, peer);
    }
    for (const filter of peer.filters) if (!filters.has(filter)) peer.attachment.unwant(filter);
    for (const filter of filters) if (!peer.filters.has(filter)) peer.attachment.want(filter);
    peer.filters = filters;
  }
}
