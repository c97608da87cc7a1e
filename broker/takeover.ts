/**
 * One connection per client identifier: a later CONNECT ends the earlier connection and waits until
 * it is wholly gone. Connections are told apart by object, so that a late close of the old one never
 * touches the new.
 * Source: MQTT 3.1.1 section 3.1.4, [MQTT-3.1.4-2].
 */
import { once } from 'node:events';
import type { Connection } from './connection/connection.ts';

export class Takeover {
  readonly #owners = new Map<string, Connection>();
  /** Who waits for an identifier. One alone: a later CONNECT ends an earlier one, so that many at
   * once are let go in one round, not one after the other. */
  readonly #waiting = new Map<string, Connection>();
  readonly #evictions = new WeakMap<Connection, Promise<void>>();

  /** True when the identifier belongs to this connection now; false when it closed meanwhile. */
  async claim(clientId: string, connection: Connection): Promise<boolean> {
    const earlier = this.#waiting.get(clientId);
    this.#waiting.set(clientId, connection);
    earlier?.end('taken-over');
    for (;;) {
      if (connection.destroyed) break;
      const owner = this.#owners.get(clientId);
      if (owner === undefined) break;
      await this.#evict(owner);
    }
    // In the turn in which it becomes the owner, or another claim might end it in between.
    if (this.#waiting.get(clientId) === connection) this.#waiting.delete(clientId);
    if (connection.destroyed) return false;
    this.#own(clientId, connection);
    return true;
  }

  #own(clientId: string, connection: Connection): void {
    this.#owners.set(clientId, connection);
    // Registered after Aedes's own listener: when this runs, Aedes has let go of the client.
    connection.once('close', () => {
      if (this.#owners.get(clientId) === connection) this.#owners.delete(clientId);
    });
  }

  /** All that wait for one owner share its end. */
  #evict(owner: Connection): Promise<void> {
    let eviction = this.#evictions.get(owner);
    if (eviction === undefined) {
      eviction = evict(owner).finally(() => this.#evictions.delete(owner));
      this.#evictions.set(owner, eviction);
    }
    return eviction;
  }
}

async function evict(owner: Connection): Promise<void> {
  // Half-way through CONNECT it can't be taken apart safely; its budget of time bounds the wait.
  if (owner.isConnecting) await Promise.race([once(owner, 'opened'), once(owner, 'close')]);
  const closed = once(owner, 'close');
  if (owner.destroyed) {
    // Its close is already on the way, or over.
    await Promise.race([closed, new Promise((resolve) => setImmediate(resolve))]);
    return;
  }
  owner.end('taken-over');
  await closed;
}
