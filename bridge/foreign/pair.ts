/**
 * The two connections of a foreign bridge and what goes between them. What the other broker sends
 * before this edge is connected waits.
 */
import type { Peer } from './peer.ts';
import type { Relay } from './relay.ts';

export class Pair {
  peers: { readonly local: Peer; readonly remote: Peer } | null = null;
  readonly ended: Promise<string>;
  #relay: Relay | null = null;
  #early: Buffer[] = [];
  #settle: (reason: string) => void = () => {};

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  join(peers: { readonly local: Peer; readonly remote: Peer }, relay: Relay): void {
    this.peers = peers;
    this.#relay = relay;
    for (const frame of this.#early.splice(0)) this.fromRemote(frame);
  }

  fromLocal(frame: Buffer): void {
    if (this.#relay?.outward(frame) === false) this.peers?.local.pause();
  }

  fromRemote(frame: Buffer): void {
    if (this.#relay === null) this.#early.push(frame);
    else if (!this.#relay.inward(frame)) this.peers?.remote.pause();
  }

  end(reason: string): void {
    this.peers?.local.end(reason);
    this.#settle(reason);
  }
}
